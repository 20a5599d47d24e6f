"""How a trace is replayed: every choice in one value, so that a benchmark states it whole."""

from dataclasses import dataclass, field
from enum import StrEnum


class SessionMode(StrEnum):
    """When the later turns of a session are sent."""

    CLOSED = "closed"  # after the answer to the turn before, plus the recorded think time
    OPEN = "open"  # at their recorded times, whatever became of the turn before


class Endpoint(StrEnum):
    """Which call carries the requests."""

    CHAT = "chat/completions"
    TEXT = "completions"


class Balance(StrEnum):
    """Which of several servers gets the next request."""

    ROUND_ROBIN = "round-robin"
    LEAST_OPEN = "least-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """One replay.

    Attributes:
        urls: OpenAI base URLs, ending in /v1; at least one.
        speed: trace seconds per real second.
        model: asked for whatever the rows say; None: the row's, else the server's first.
        limit, duration_s: requests and seconds at most; None: to the end of the trace.
        send_failed: rows recorded as failed without tokens are sent, asking for 1 token; else left out.
        sessions: closed loop or open; rows without a session are always open.
        endpoint, ignore_eos: how each request is put; without ignore_eos a model may end its answers early.
        timeout_s: for one whole request. ``as_recorded``: rows recorded as cancelled are cancelled, and rows
            recorded as timed out give up, after their recorded time (where the trace says so).
        concurrency_max: open requests at most; the next one waits and its send lag shows it.
        prompts: a file of prompts, None: made-up words. ``tokens_per_word``: None learns it from the servers' usage.
        tokenizer: path of a ``tokenizer.json``; prompts are then cut by it.
        shared_prefix: prompts may begin alike (a prefix cache may answer); else the first words are each one's own.
        seed: of the prompts; None: a new one each time, else a server's prefix cache may know them from last time.
        balance: over several ``urls``.
        api_key: sent as a bearer token; never logged.
        retries: times a failed request is sent again (not after a time-out or a cancellation).
        warm_up, warm_up_s: the first requests (by number, by time due) are sent but not counted.
        ramp_s: the rate rises linearly from 0 to the trace's over so many seconds, by stretching time.
        slo_ttft_s, slo_tpot_s: what counts as served well (goodput); None: not asked.
    """

    urls: tuple[str, ...]
    speed: float = 1.0
    model: str | None = None
    limit: int | None = None
    duration_s: float | None = None
    send_failed: bool = False
    sessions: SessionMode = SessionMode.CLOSED
    endpoint: Endpoint = Endpoint.CHAT
    ignore_eos: bool = True
    timeout_s: float = 300.0
    as_recorded: bool = True
    concurrency_max: int = 1024
    prompts: str | None = None
    tokens_per_word: float | None = None
    tokenizer: str | None = None
    shared_prefix: bool = False
    seed: int | None = None
    balance: Balance = Balance.ROUND_ROBIN
    api_key: str | None = field(default=None, repr=False)
    retries: int = 0
    warm_up: int = 0
    warm_up_s: float = 0.0
    ramp_s: float = 0.0
    slo_ttft_s: float | None = None
    slo_tpot_s: float | None = None
