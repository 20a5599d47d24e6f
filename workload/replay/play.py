"""The replay as a library: a trace in, what became of each request out."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from collector.schema.trace_rows import TraceRow
from workload.replay.client import WARM_CONNECTIONS, Client
from workload.replay.compose import Composer, Form
from workload.replay.options import ReplayOptions, SessionMode
from workload.replay.prompt_file import read_prompts
from workload.replay.record import Observer, Record
from workload.replay.recorded import rows_of
from workload.replay.result import ReplayResult, result_of, row_of
from workload.replay.runner import Runner
from workload.replay.schedule import Pace, Skipped, shots
from workload.replay.sizing import Sizing
from workload.replay.tally import Slo, Tally
from workload.replay.tokenizer import load_counter
from workload.replay.words import WordPool
from workload.trace.columns import Trace


@dataclass(slots=True)
class Rows:
    """An observer that keeps each request as a row, for ``result_of``."""

    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def on_start(self, record: Record) -> None:
        """Nothing to keep yet."""

    def on_sent(self, record: Record) -> None:
        """Nothing to keep yet."""

    def on_end(self, record: Record) -> None:
        """Keep it."""
        self.rows.append((record.number, row_of(record)))


class Player:
    """One replay from options to summary: what the command and the library have in common.

    Raises ``OperatorError`` for a prompt file or a tokenizer that cannot be read.
    """

    def __init__(self, options: ReplayOptions, *, loop: bool = False, observers: Sequence[Observer] = ()) -> None:
        self.options = options
        self.seed = secrets.randbits(32) if options.seed is None else options.seed
        self.tally = Tally(Slo(options.slo_ttft_s, options.slo_tpot_s))
        self.skipped = Skipped()
        self.sizing = Sizing(options.tokens_per_word)
        self.started_us = 0  # microseconds since the epoch
        self._runner: Runner | None = None
        self._loop = loop
        self._observers = (self.tally, *observers)
        texts = None if options.prompts is None else read_prompts(options.prompts)
        cost = None if options.tokenizer is None else load_counter(options.tokenizer)
        self._composer = Composer(
            WordPool(self.seed, texts, own_prefix=not options.shared_prefix, cost=cost),
            self.sizing,
            Form(endpoint=options.endpoint, ignore_eos=options.ignore_eos),
            histories=options.sessions is SessionMode.CLOSED,
        )

    @property
    def share_sent(self) -> float:
        """Return how much of what was read from the trace so far has been sent, 0 to 1."""
        drawn = self._runner.drawn if self._runner is not None else 0
        return min(1.0, (self.tally.sent + self.tally.warm_up) / drawn) if drawn else 0.0

    async def play(self, read: Callable[[], Iterable[TraceRow]], stop: asyncio.Event) -> dict[str, Any]:
        """Send what ``read`` yields; return the summary. Raises ``OperatorError`` if a server is not there."""
        options = self.options
        async with Client(
            options.urls,
            endpoint=options.endpoint,
            balance=options.balance,
            api_key=options.api_key,
            warm=min(WARM_CONNECTIONS, options.concurrency_max),
        ) as client:
            pace = Pace(
                fallback_model=client.models[0] if client.models else "default",
                speed=options.speed,
                model=options.model,
                send_failed=options.send_failed,
                as_recorded=options.as_recorded,
                limit=options.limit,
                duration_s=options.duration_s,
                loop=self._loop,
                ramp_s=options.ramp_s,
            )
            runner = self._runner = Runner(client, self._composer, self._observers, options)
            began_s = time.perf_counter()
            interrupted = await runner.play(shots(read, pace, self.skipped), stop)
            ended_s = time.perf_counter()
            self.started_us = time.time_ns() // 1000 - round((ended_s - runner.start_s) * 1e6)
        summary = self.tally.summary(elapsed_s=ended_s - began_s, skipped=asdict(self.skipped), interrupted=interrupted)
        return {**summary, "sessions": str(options.sessions), "seed": self.seed, "sizing": self.sizing.figures()}


async def replay(trace: Trace, options: ReplayOptions, stop: asyncio.Event | None = None) -> ReplayResult:
    """Send ``trace`` (in time order) and return what was measured; ``stop`` ends it early and keeps what there is.

    Raises ``OperatorError`` if a server is not there.
    """
    kept = Rows()
    player = Player(options, observers=(kept,))
    summary = await player.play(lambda: rows_of(trace), stop or asyncio.Event())
    return result_of(kept.rows, started_us=player.started_us, summary=summary)
