"""Panes, windows and bursts of one service: what happens as event time moves. Pure.

When event time comes to W:

- every second complete by W is shown to the detectors (alarms.py), then the engines' readings in it are judged
  (pressure.py); alerts do not wait for the hold;
- every 10-s boundary E with E + hold <= W closes a pane: the arrivals before E are put in time order and become
  gap sums, and every class active within the longest window gets a row of the windows ending at E; where the
  longest window holds nothing at all there are no rows, and the boundaries are skipped at once. The total's row also
  says how the engines stand by then (service_memory.py).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from streams.processors.alarms import Alarms
from streams.processors.burst_detectors import dump_detector, load_detector, new_detector
from streams.processors.column_sums import WindowSums
from streams.processors.count_panes import CountPanes
from streams.processors.episodes import AnyEpisode, PressureEpisode
from streams.processors.failure_reasons import FailureReasons
from streams.processors.open_panes import PANE_US, SECOND_US
from streams.processors.ordered import OrderedArrivals
from streams.processors.outputs import WindowRow, WindowStats
from streams.processors.pressure import Pressure
from streams.processors.settings import PANE_S, AnalysisSettings
from streams.processors.sketches import Sketches
from streams.processors.totals import ClassKey
from streams.processors.windows import rows_at
from streams.stats.gap_panes import GapPanes

HISTOGRAM_WINDOW_S_MIN = 300  # shorter windows have too few whole-second gaps to fit anything to
_COLUMNS_MIN = 4


class Timeline:
    """One service's event time.

    Attributes:
        counts: the counting path; ``ordered`` the ordered one; ``reasons`` why requests failed.
        sketches: tokens and latencies of what ended.
        alarms: the detectors of bursts and failures; ``pressure`` what the engines' readings say.
        latest: the rows of the newest boundary, by class; empty while the longest window is. Without memory, which
            is for llm.windows only: snapshots stay small.
    """

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self._service = service
        self._settings = settings
        self._hold = settings.hold_s * SECOND_US
        self._lengths = [window_s // PANE_S for window_s in settings.windows_s]
        self._watched = 0  # the next second to be shown to the detectors
        self.latest: dict[ClassKey, WindowRow] = {}
        self.pressure = Pressure(service)
        self.alarms = Alarms(service, settings, new_detector(service, settings), engines=self.pressure)
        limit = settings.percentile_window_s_max
        self.sketches = Sketches([window_s // PANE_S for window_s in settings.windows_s if window_s <= limit])
        self._build(_COLUMNS_MIN)

    def _build(self, columns: int) -> None:
        self._width = columns
        self.counts = CountPanes(columns=columns, keep=self._lengths[-1])
        histograms = [length for length in self._lengths if length * PANE_S >= HISTOGRAM_WINDOW_S_MIN]
        self.ordered = OrderedArrivals(GapPanes(columns=columns, keep=self._lengths[-1], histograms=histograms))
        self.reasons = FailureReasons(self._lengths)

    def make_room(self, used: int) -> None:
        """Make room for ``used`` columns."""
        if used > self._width:
            self._width = _capacity(used)
            self.counts.widen(self._width)
            self.ordered.gaps.widen(self._width)

    def vacate(self, columns: list[int]) -> int | None:
        """Return the first of ``columns`` without any event within the longest window or ahead, emptied; or None."""
        if (column := self.counts.idle(columns)) is not None:
            self.counts.vacate(column)
            self.ordered.gaps.vacate(column)
        return column

    def shed(self) -> int:
        """Drop what lies too far ahead to be kept; return how many events that were."""
        if not (evicted := self.counts.evict_future()):
            return 0
        pane, events = evicted
        self.ordered.drop_from(pane * PANE_US)
        self.alarms.reasons.drop_from(pane * PANE_S)
        self.reasons.drop_from(pane)
        self.sketches.drop_from(pane)
        return events

    def advance(
        self, watermark: int, settled: int, fresh_from: int, classes: list[ClassKey]
    ) -> Iterator[WindowRow | AnyEpisode]:
        """Move event time to ``watermark``; yield the rows and episodes that become final, in order.

        The order of arrivals is fixed up to ``settled``, counts from ``fresh_from`` on stay amendable;
        ``classes`` are the columns from 1 on. To be consumed to its end before anything else is done: a message
        that spans months of sparse traffic gives rise to millions of rows, which must not all be held at once.
        """
        target = settled // PANE_US  # the pane event time stands in, hold allowed for: those below close
        while (pane := self._next_pane(target)) < target:
            end = (pane + 1) * PANE_US
            yield from self._watch(end + self._hold)
            yield from self._close(pane, end, classes)
        yield from self._watch(watermark)
        self.ordered.settle(target, settled, lazily=True)
        self.counts.forget_detail(fresh_from)

    def start_over(self) -> tuple[list[AnyEpisode], int]:
        """Forget everything about event time; return the ends of what was on, and how many pending events went."""
        pending = self.counts.unclosed()
        self._build(self._width)
        self.sketches.start_over()
        self._watched = 0
        self.latest = {}
        return [*self.alarms.start_over(), *self.pressure.start_over()], pending

    def _next_pane(self, target: int) -> int:
        """Return the next pane to close; while the longest window is empty, skip to the next with counts."""
        if self.counts.alive or self.counts.closed_to >= target:
            return self.counts.closed_to
        self.latest = {}
        upcoming = self.counts.next_open()
        self.counts.closed_to = target if upcoming is None else min(upcoming, target)
        return self.counts.closed_to

    def _close(self, pane: int, end: int, classes: list[ClassKey]) -> list[WindowRow]:
        self.ordered.settle(pane, end - 1)
        self.counts.close(pane)
        if end % (self._settings.rows_every_s * SECOND_US):
            self.sketches.move(pane + 1)  # what lies ahead of its windows is bounded more tightly than panes are
            return []
        gaps = self.ordered.gaps.sums(pane + 1, self._lengths)
        counts = self.counts.sums(pane + 1, self._lengths)
        reasons = self.reasons.sums(pane + 1)
        percentiles = self.sketches.percentiles(pane + 1)
        percentiles += [{}] * (len(self._lengths) - len(percentiles))
        sums = [WindowSums(*parts) for parts in zip(counts, gaps, reasons, percentiles, strict=True)]
        rows = list(rows_at(end, classes, sums, service=self._service, settings=self._settings))
        self.latest = {(row.model, row.log_type): row for row in rows}
        if rows and (memory := self.pressure.memory(end)) is not None:
            rows[0] = replace(rows[0], memory=memory)  # the total comes first
        return rows

    def _watch(self, until: int) -> list[AnyEpisode]:
        """Show the detectors every second that is complete at ``until`` (us)."""
        self.pressure.reach(until)
        found = self._judge(until)
        found += self._feed(until // SECOND_US)
        self.pressure.settle(until)
        return found

    def _judge(self, until: int) -> list[AnyEpisode]:
        """Judge the readings up to ``until``, each as of the whole seconds of requests before it."""
        found: list[AnyEpisode] = []
        while (at := self.pressure.due(until)) is not None:
            found += self._feed(at // SECOND_US)
            found += self.pressure.step(at, during_burst=self.alarms.bursts.active)
        return found

    def judge_overdue(self, watermark: int | None) -> list[PressureEpisode]:
        """Judge the readings that event time does not come to: see ``Pressure``."""
        return self.pressure.overdue(watermark, during_burst=self.alarms.bursts.active)

    def _feed(self, stop: int) -> list[AnyEpisode]:
        """Show the detectors every second before ``stop``."""
        if stop <= self._watched:
            return []
        found: list[AnyEpisode] = []
        for pane in self.counts.panes_between(self._watched // PANE_S, -(-stop // PANE_S)):
            start = max(pane * PANE_S, self._watched)
            part = slice(start - pane * PANE_S, stop - pane * PANE_S)
            ended, failed = self.counts.endings(pane)
            found += self.alarms.feed(start, self.counts.seconds(pane)[part], ended[part], failed[part])
        self._watched = stop
        return found + self.alarms.feed(stop, (), (), ())

    def dump(self, used: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the state of the first ``used`` columns as plain values and arrays."""
        counts, count_arrays = self.counts.dump(used)
        gaps_first, gap_arrays = self.ordered.dump(used)
        sketches, sketch_arrays = self.sketches.dump()
        facts = {
            "watched": self._watched,
            "bursts": dump_detector(self.alarms.bursts, self._settings),
            "alarms": self.alarms.dump(),
            "pressure": self.pressure.dump(),
            "latest": list(self.latest.values()),
            "counts": counts,
            "gaps_first": gaps_first,
            "sketches": sketches,
            "width": self._width,
        }
        return facts, count_arrays | gap_arrays | self.reasons.dump() | sketch_arrays

    def load(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError``, ``TypeError``, ``ValueError``, ``AttributeError``."""
        self._watched = facts["watched"]
        self.alarms.bursts = load_detector(facts["bursts"], self._service, self._settings)
        self.alarms.load(facts["alarms"])
        self.pressure.load(facts["pressure"])
        self._build(facts["width"])
        self.counts.load(facts["counts"], arrays)
        self.ordered.load(facts["gaps_first"], arrays)
        self.reasons.load(arrays)
        self.sketches.load(facts["sketches"], arrays)
        for row in facts["latest"]:
            windows = {int(w): WindowStats(**stats) for w, stats in row.pop("windows").items()}
            known = WindowRow(**row, windows=windows)
            self.latest[(known.model, known.log_type)] = known


def _capacity(used: int) -> int:
    """Return how many columns to make room for: a power of two, so that growing is rare."""
    return int(max(_COLUMNS_MIN, 1 << (used - 1).bit_length()))
