"""Everything known about one service, as a pure function of its messages in source order.

What becomes final as event time moves to W (no clock is ever read) is in timeline.py. Besides:

- what comes after its time is counted: an arrival at or before W - hold is late for the ordered path; an event
  more than the lateness before W is late for the counts, too, and shows in the totals only;
- event time that had run ahead of every agent is set back (sources.py says when): windows and the detectors
  start over; totals, classes and counters stay.

The outputs joined over any number of ``apply`` calls are the same, to the last bit, however the events were cut
into messages, and wherever a snapshot was taken and restored.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.schema.codec import Batch
from collector.schema.events import Kind, Outcome
from streams.processors.bursts import BurstStatus
from streams.processors.columns import codes, numbers
from streams.processors.count_panes import PER_REQUEST_MAX
from streams.processors.demand import Demand, DemandMeter
from streams.processors.episodes import AnyEpisode, PressureEpisode
from streams.processors.failure_reasons import reasons_of
from streams.processors.failures import FailureStatus
from streams.processors.ledger import Ledger
from streams.processors.measures import Completed, completed_of, which_are
from streams.processors.open_panes import PANE_US, SECOND_US
from streams.processors.outputs import ALL, WindowRow
from streams.processors.pressure import Pressure
from streams.processors.settings import AnalysisSettings
from streams.processors.sketches import Sketches
from streams.processors.sources import Sources
from streams.processors.timeline import Timeline
from streams.processors.totals import Classes, ClassKey, ClassTotals
from streams.snapshot import BadSnapshot, decode, encode

Result = WindowRow | AnyEpisode


class ServiceState:
    """One service's analysis, fed message by message in source order.

    Attributes:
        service: its name, the Kafka key. ``joined`` at the start: its agents may have been numbering messages for
            some time (sources.py).
        settings: as given.
        offset: the last source offset applied; -1 before any.
    """

    def __init__(self, service: str, settings: AnalysisSettings, *, joined: bool = False) -> None:
        self.service = service
        self.settings = settings
        self.offset = -1
        self._replayed = 0
        self._counted = {"messages": 0, "duplicates": 0, "counts": 0, "ordered": 0, "future": 0}
        self._settled_floor = 0  # what a snapshot had settled and forgotten stays so under other settings
        self._fresh_floor = 0
        self._sources = Sources(joined=joined)
        self._classes = Classes(settings.classes_max)
        self._demand = DemandMeter(
            quantile=settings.demand_quantile, replica_capacity=settings.replica_capacity.get(service)
        )
        self._timeline = Timeline(service, settings)

    def apply(self, batch: Batch, offset: int, appended_at: int | None = None) -> list[Result]:
        """Apply one message; return the rows and episodes that became final, in order of event time.

        ``appended_at`` is when Kafka appended it (us): it shows clocks that are ahead. None where it is not known.

        A message applied before, by its offset or its identity, changes nothing but its counter (and offset).
        """
        return list(self.results(batch, offset, appended_at))

    def results(self, batch: Batch, offset: int, appended_at: int | None = None) -> Iterator[Result]:
        """Do what ``apply`` does, but work the results out one by one.

        Until the iterator is exhausted the message is half applied: no snapshot, no other message.
        """
        if offset <= self.offset:
            self._replayed += 1
            return iter(())
        self.offset = offset
        self._counted["messages"] += 1
        if not self._sources.accept(batch.agent, batch.boot, batch.seq):
            self._counted["duplicates"] += 1
            return iter(())
        before = self._sources.watermark
        overdue: list[PressureEpisode] = []
        if batch.kind is Kind.RESOURCE:
            # Before the new ones: what has waited for event time since earlier messages.
            overdue = self._timeline.judge_overdue(before)
            self._timeline.pressure.add(batch)
        elif batch.n:
            self._add(batch)
        says = (batch.agent, batch.boot, batch.watermark, batch.dropped)
        now = self._sources.promise(*says, appended_at=appended_at)
        return chain(overdue, self._move(before, now) if now is not None and now != before else ())

    def _move(self, before: int | None, now: int) -> Iterator[Result]:
        if before is not None and now < before:
            self._settled_floor = self._fresh_floor = 0
            found, pending = self._timeline.start_over()
            self._counted["future"] += pending
            yield from found
        yield from self._timeline.advance(now, self._settled or 0, self._fresh_from or 0, self._classes.keys)

    def _add(self, batch: Batch) -> None:
        columns = self._classes.columns_of(batch, self._timeline.vacate)
        self._timeline.make_room(len(self._classes.totals) + 1)
        if batch.kind is Kind.ARRIVAL:
            self._add_arrivals(numbers(batch, "submitted_at"), columns)
        else:
            self._add_completions(batch, columns)
        self._counted["future"] += self._timeline.shed()

    def _add_arrivals(self, times: NDArray[np.int64], columns: NDArray[np.intp]) -> None:
        self._classes.add_arrivals(columns)
        size = len(times)
        if (fresh := self._fresh(times)) is not None:
            times, columns = times[fresh], columns[fresh]
        self._timeline.counts.add_arrivals(times, columns)
        if (settled := self._settled) is not None and len(times) and times.min() <= settled:
            ahead = times > settled
            times, columns = times[ahead], columns[ahead]
        self._counted["ordered"] += size - len(times)
        self._counted["future"] += self._timeline.ordered.add(times, columns)

    def _add_completions(self, batch: Batch, columns: NDArray[np.intp]) -> None:
        outcome = codes(batch, "outcome")
        completed = completed_of(batch, columns, outcome)
        times, took = completed.at, completed.took
        request_tokens = np.maximum(completed.request_tokens, 0)
        response_tokens = np.maximum(completed.response_tokens, 0)
        self._classes.add_completions(columns, outcome, (request_tokens, response_tokens))
        fresh = self._fresh(times)
        self._timeline.sketches.add(completed if fresh is None else completed._replace(fresh=fresh))
        failed = which_are(Outcome.FAILED, outcome)
        if failed.any():
            self._add_failures(batch, failed.nonzero()[0], completed, fresh)
        values: list[NDArray[Any]] = [request_tokens, response_tokens, took >= 0]
        values.append(np.minimum(np.maximum(took, 0), PER_REQUEST_MAX))
        if fresh is not None:
            times, columns, failed = times[fresh], columns[fresh], failed[fresh]
            values = [value[fresh] for value in values]
        self._timeline.counts.add_completions(times, columns, failed, values)

    def _add_failures(
        self, batch: Batch, which: NDArray[np.intp], completed: Completed, fresh: NDArray[np.bool_] | None
    ) -> None:
        """Count why ``which`` of ``completed`` failed."""
        names, code = codes(batch, "reason")
        columns, times, code = completed.column[which], completed.at[which], code[which]
        self._classes.add_failures(columns, (names, code))
        self._timeline.alarms.reasons.add(times, names, code)
        if fresh is not None:
            kept = fresh[which]
            columns, times, code = columns[kept], times[kept], code[kept]
        self._timeline.reasons.add(times, columns, reasons_of((names, code)))

    def _fresh(self, times: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which events the counts still take, None if all; count the others."""
        fresh_from = self._fresh_from
        if fresh_from is None or times.min() >= fresh_from:
            return None
        fresh: NDArray[np.bool_] = times >= fresh_from
        self._counted["counts"] += int(len(fresh) - fresh.sum())
        return fresh

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
    def latest(self) -> dict[ClassKey, WindowRow]:
        """The rows of the newest boundary, by class; empty while the longest window is."""
        return self._timeline.latest

    @property
    def burst(self) -> BurstStatus:
        """Where the burst detector stands."""
        return self._timeline.alarms.bursts.status

    @property
    def failure(self) -> FailureStatus:
        """Where the failure detector stands."""
        return self._timeline.alarms.failures.status

    @property
    def attributed(self) -> Mapping[str, int]:
        """Failures of all seconds complete for ``SETTLE_S``, by what they coincided with."""
        return self._timeline.alarms.attributed

    @property
    def pressure(self) -> Pressure:
        """What the engines' readings say."""
        return self._timeline.pressure

    @property
    def demand(self) -> Demand | None:
        """What the service needs of its engines; None before its dispersion is known."""
        return self._demand.demand(self.latest.get((ALL, ALL)), self.burst, self.pressure.capacity)

    @property
    def sketches(self) -> Sketches:
        """What is known of tokens and latencies."""
        return self._timeline.sketches

    @property
    def ledger(self) -> Ledger:
        """What happened to the messages so far."""
        counted = self._counted
        return Ledger(
            messages=counted["messages"],
            duplicates=counted["duplicates"],
            replayed=self._replayed,
            missing=self._sources.missing,
            late={"counts": counted["counts"], "ordered": counted["ordered"]},
            future=counted["future"],
            dropped_by_agents=self._sources.dropped,
            watermark=self._sources.watermark,
            set_back=self._sources.set_back,
            agents=self._sources.live,
            agents_idle=self._sources.idle,
        )

    def snapshot(self) -> bytes:
        """Return the complete state: ``restore(snapshot())`` goes on as if nothing had happened."""
        if (settled := self._settled) is not None:
            self._timeline.ordered.settle(settled // PANE_US, settled)  # sums are smaller than the times in them
        used = len(self._classes.totals) + 1
        moved, arrays = self._timeline.dump(used)
        facts = {
            "service": self.service,
            "offset": self.offset,
            "counted": self._counted,
            "floors": [settled or 0, self._fresh_from or 0],
            "sources": self._sources.dump(),
            "classes": self._classes.dump(),
        }
        return encode(facts | moved, arrays)

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
        self._settled_floor, self._fresh_floor = facts["floors"]
        self._sources = Sources.load(facts["sources"])
        self._classes.load(facts["classes"])
        self._timeline.load(facts, arrays)
