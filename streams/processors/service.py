"""Everything known about one service, as a pure function of its messages in source order.

What happens when event time moves to W (no clock is ever read):

- every second complete by W is shown to the burst detector; alerts do not wait for the hold;
- every 10-s boundary E with E + hold <= W closes a pane: the arrivals before E are put in time order and become
  gap sums, and every class active within the longest window gets a row of the windows ending at E; where the
  longest window holds nothing at all there are no rows, and the boundaries are skipped at once;
- what comes later than that is counted: an arrival at or before W - hold is late for the ordered path; an event
  more than the lateness before W is late for the counts, too, and shows in the totals only.

The outputs joined over any number of ``apply`` calls are the same, to the last bit, however the events were cut
into messages, and wherever a snapshot was taken and restored.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.codec import Batch
from collector.schema.events import Kind
from streams.processors.bursts import BurstDetector, BurstStatus, TenSecondScore
from streams.processors.columns import ended_at, numbers
from streams.processors.count_panes import PANE_US, SECOND_US, TOKENS_MAX, CountPanes
from streams.processors.ledger import Ledger
from streams.processors.ordered import OrderedArrivals
from streams.processors.outputs import Episode, WindowRow, WindowStats
from streams.processors.settings import PANE_S, AnalysisSettings
from streams.processors.sources import Sources
from streams.processors.totals import Classes, ClassKey, ClassTotals
from streams.processors.windows import rows_at
from streams.snapshot import BadSnapshot, decode, encode
from streams.stats.gap_panes import GapPanes

_COLUMNS_MIN = 4


class ServiceState:
    """One service's analysis, fed message by message in source order.

    Attributes:
        service: its name, the Kafka key.
        settings: as given.
        offset: the last source offset applied; -1 before any.
        latest: the rows of the newest boundary, by class; empty while the longest window is.
    """

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self.service = service
        self.settings = settings
        self.offset = -1
        self.latest: dict[ClassKey, WindowRow] = {}
        self._lengths = [window_s // PANE_S for window_s in settings.windows_s]
        self._replayed = 0
        self._counted = {"messages": 0, "duplicates": 0, "misplaced": 0, "counts": 0, "ordered": 0, "future": 0}
        self._watched = 0  # the next second to be shown to the detector
        self._settled_floor = 0  # what a snapshot had settled and forgotten stays so under other settings
        self._fresh_floor = 0
        self._sources = Sources()
        self._classes = Classes(settings.classes_max)
        self._detector: BurstDetector = TenSecondScore(service, settings)
        self._build(_COLUMNS_MIN)

    def _build(self, columns: int) -> None:
        self._width = columns
        self._counts = CountPanes(columns=columns, keep=self._lengths[-1])
        self._ordered = OrderedArrivals(GapPanes(columns=columns, keep=self._lengths[-1]))

    def apply(self, batch: Batch, offset: int) -> list[WindowRow | Episode]:
        """Apply one message; return the rows and episodes that became final, in order of event time.

        A message applied before, by its offset or its identity, changes nothing but its counter (and offset).
        """
        if offset <= self.offset:
            self._replayed += 1
            return []
        self.offset = offset
        self._counted["messages"] += 1
        if not self._sources.accept(batch.agent, batch.boot, batch.seq):
            self._counted["duplicates"] += 1
            return []
        if batch.kind is Kind.RESOURCE:
            self._counted["misplaced"] += 1
            return []
        if batch.n:
            self._add(batch)
        before = self._sources.watermark
        now = self._sources.promise(batch.agent, batch.boot, batch.watermark, batch.dropped)
        return self._advance(now) if now is not None and now != before else []

    def _add(self, batch: Batch) -> None:
        columns = self._classes.columns_of(batch)
        if (used := len(self._classes.totals) + 1) > self._width:
            self._width = _capacity(used)
            self._counts.widen(self._width)
            self._ordered.gaps.widen(self._width)
        if batch.kind is Kind.ARRIVAL:
            self._add_arrivals(numbers(batch, "submitted_at"), columns)
        else:
            self._add_completions(batch, columns)
        if evicted := self._counts.evict_future():
            pane, events = evicted
            self._counted["future"] += events
            self._ordered.drop_from(pane * PANE_US)

    def _add_arrivals(self, times: NDArray[np.int64], columns: NDArray[np.intp]) -> None:
        self._classes.add_arrivals(columns)
        size = len(times)
        if (fresh := self._fresh(times)) is not None:
            times, columns = times[fresh], columns[fresh]
        self._counts.add_arrivals(times, columns)
        if (settled := self._settled) is not None:
            ahead = times > settled
            if not ahead.all():
                times, columns = times[ahead], columns[ahead]
        self._counted["ordered"] += size - len(times)
        self._counted["future"] += self._ordered.add(times, columns)

    def _add_completions(self, batch: Batch, columns: NDArray[np.intp]) -> None:
        # A cap no real request comes near; it keeps the sums of a message exact.
        request_tokens = np.minimum(numbers(batch, "request_tokens"), TOKENS_MAX)
        response_tokens = np.minimum(numbers(batch, "response_tokens"), TOKENS_MAX)
        failed = self._classes.add_completions(batch, columns, (request_tokens, response_tokens))
        times = ended_at(batch)
        values: list[NDArray[Any]] = [failed, request_tokens, response_tokens]
        if (fresh := self._fresh(times)) is not None:
            times, columns, values = times[fresh], columns[fresh], [value[fresh] for value in values]
        self._counts.add_completions(times, columns, values)

    def _fresh(self, times: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which events the counts still take, None if all; count the others."""
        if (fresh_from := self._fresh_from) is None:
            return None
        fresh: NDArray[np.bool_] = times >= fresh_from
        if fresh.all():
            return None
        self._counted["counts"] += int(len(fresh) - fresh.sum())
        return fresh

    def _advance(self, watermark: int) -> list[WindowRow | Episode]:
        found: list[WindowRow | Episode] = []
        hold = self.settings.hold_s * SECOND_US
        settled, fresh_from = self._settled or 0, self._fresh_from or 0
        target = settled // PANE_US  # the pane event time stands in, hold allowed for: those below close
        while (pane := self._next_pane(target)) < target:
            end = (pane + 1) * PANE_US
            found += self._watch(end + hold)
            found += self._close(pane, end)
        found += self._watch(watermark)
        self._ordered.settle(target, settled, lazily=True)
        self._counts.forget_detail(fresh_from)
        return found

    def _next_pane(self, target: int) -> int:
        """Return the next pane to close; while the longest window is empty, skip to the next with counts."""
        if self._counts.alive or self._counts.closed_to >= target:
            return self._counts.closed_to
        self.latest = {}
        upcoming = self._counts.next_open()
        self._counts.closed_to = target if upcoming is None else min(upcoming, target)
        return self._counts.closed_to

    def _close(self, pane: int, end: int) -> list[WindowRow]:
        self._ordered.settle(pane, end - 1)
        self._counts.close(pane)
        gaps = self._ordered.gaps.sums(pane + 1, self._lengths)
        counts = self._counts.sums(pane + 1, self._lengths)
        rows = rows_at(
            end,
            self._classes.keys,
            list(zip(counts, gaps, strict=True)),
            service=self.service,
            settings=self.settings,
        )
        self.latest = {(row.model, row.log_type): row for row in rows}
        return rows

    def _watch(self, until: int) -> list[Episode]:
        """Show the detector every second that is complete at ``until`` (us)."""
        stop = until // SECOND_US
        if stop <= self._watched:
            return []
        found: list[Episode] = []
        for pane in self._counts.panes_between(self._watched // PANE_S, -(-stop // PANE_S)):
            start = max(pane * PANE_S, self._watched)
            offset = pane * PANE_S
            found += self._detector.feed(start, self._counts.seconds(pane)[start - offset : stop - offset])
        self._watched = stop
        return found + self._detector.feed(stop, ())

    @property
    def _settled(self) -> int | None:
        """Up to where the order of arrivals is fixed (us)."""
        watermark = self._sources.watermark
        if watermark is None:
            return None
        return max(watermark - self.settings.hold_s * SECOND_US, self._settled_floor)

    @property
    def _fresh_from(self) -> int | None:
        """From where on counts can still be amended (us)."""
        watermark = self._sources.watermark
        if watermark is None:
            return None
        return max(watermark - self.settings.lateness_s * SECOND_US, self._fresh_floor)

    @property
    def totals(self) -> dict[ClassKey, ClassTotals]:
        """Cumulative counts per (model, log_type)."""
        return self._classes.totals

    @property
    def burst(self) -> BurstStatus:
        """Where the burst detector stands."""
        return self._detector.status

    @property
    def ledger(self) -> Ledger:
        """What happened to the messages so far."""
        counted = self._counted
        return Ledger(
            messages=counted["messages"],
            duplicates=counted["duplicates"],
            replayed=self._replayed,
            misplaced=counted["misplaced"],
            missing=self._sources.missing,
            late={"counts": counted["counts"], "ordered": counted["ordered"]},
            future=counted["future"],
            dropped_by_agents=self._sources.dropped,
            watermark=self._sources.watermark,
            agents=self._sources.live,
            agents_idle=self._sources.idle,
        )

    def snapshot(self) -> bytes:
        """Return the complete state: ``restore(snapshot())`` goes on as if nothing had happened."""
        if (settled := self._settled) is not None:
            self._ordered.settle(settled // PANE_US, settled)  # sums are smaller than the times in them
        used = len(self._classes.totals) + 1
        counts, count_arrays = self._counts.dump(used)
        gaps_first, gap_arrays = self._ordered.dump(used)
        facts = {
            "service": self.service,
            "offset": self.offset,
            "counted": self._counted,
            "watched": self._watched,
            "floors": [settled or 0, self._fresh_from or 0],
            "sources": self._sources.dump(),
            "classes": self._classes.dump(),
            "bursts": self._detector.dump(),
            "latest": list(self.latest.values()),
            "counts": counts,
            "gaps_first": gaps_first,
            "width": self._width,
        }
        return encode(facts, count_arrays | gap_arrays)

    @classmethod
    def restore(cls, body: bytes, settings: AnalysisSettings) -> "ServiceState":
        """Return the state in ``body``, to go on with ``settings``. Raises ``BadSnapshot``."""
        facts, arrays = decode(body)
        try:
            state = cls(facts["service"], settings)
            state._load(facts, arrays)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BadSnapshot(f"malformed: {type(error).__name__}: {error}") from None
        return state

    def _load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.offset = facts["offset"]
        self._counted = {name: facts["counted"][name] for name in self._counted}
        self._watched = facts["watched"]
        self._settled_floor, self._fresh_floor = facts["floors"]
        self._sources = Sources.load(facts["sources"])
        self._classes.load(facts["classes"])
        self._detector.load(facts["bursts"])
        self._build(facts["width"])
        self._counts.load(facts["counts"], arrays)
        self._ordered.load(facts["gaps_first"], arrays)
        for row in facts["latest"]:
            windows = {int(w): WindowStats(**stats) for w, stats in row.pop("windows").items()}
            known = WindowRow(**row, windows=windows)
            self.latest[(known.model, known.log_type)] = known


def _capacity(used: int) -> int:
    """Return how many columns to make room for: a power of two, so that growing is rare."""
    return int(max(_COLUMNS_MIN, 1 << (used - 1).bit_length()))
