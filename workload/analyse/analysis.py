"""The paper's analysis of a trace: rate, burstiness, bursts, lengths, sessions, failures; pure, of a ``Trace``."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.outputs import Episode
from streams.processors.settings import AnalysisSettings
from streams.stats.wilson import wilson_bounds
from workload.analyse.arrival_facts import Burstiness, Bursts, Dispersion
from workload.analyse.arrivals import Arrivals, seconds_since
from workload.analyse.burst_episodes import told
from workload.analyse.burst_scan import episodes
from workload.analyse.burstiness import burstiness
from workload.analyse.classes import Class, file_facts, leaves
from workload.analyse.counts import scales_of
from workload.analyse.facts import (
    ClassAnalysis,
    Failures,
    FileFacts,
    Latency,
    Lengths,
    RateFacts,
    Relation,
    Sessions,
)
from workload.analyse.failures import failures
from workload.analyse.lengths import latency, lengths, relation
from workload.analyse.plain import plain
from workload.analyse.rates import Calendar, rates
from workload.analyse.sessions import sessions
from workload.analyse.tallies import Tallies, response_width, tallies, together
from workload.trace.columns import OutcomeCode, Trace, steps_back

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller may choose.

    Attributes:
        window_s: length of the windows burstiness is looked at in; the paper's are 20 minutes.
        day_zero_weekday: weekday of the day the trace's clock begins on, 0 = Monday; None: not known. Not used where
            times are calendar times. The default is BurstGPT's (2023-11-01, a Wednesday, as its authors' figures
            suggest; the files do not say).
        zone_s: seconds to add to calendar times before days and hours are told (0: UTC).
        classes_max: classes looked at one by one, the greatest first; 0 for none (half of the work, or less).
        bursts: look for bursts, too (else none is known).
        burst_warmup_s: how long the detector learns before it tells of bursts.
        threads: how many parts are worked on at once; the result is the same for any number.
    """

    window_s: int = 1200
    day_zero_weekday: int | None = 2
    zone_s: int = 0
    classes_max: int = 12
    bursts: bool = True
    burst_warmup_s: int = AnalysisSettings().burst_warmup_s
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that ``analyse`` found; ``classes`` are log types, and models within them, where there is more than one."""

    file: FileFacts
    rate: RateFacts
    burstiness: Burstiness
    dispersion: Dispersion
    bursts: Bursts
    lengths: Lengths
    relation: Relation
    sessions: Sessions
    failures: Failures
    latency: Latency
    classes: tuple[ClassAnalysis, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it; what is not known is None."""
        found: dict[str, Any] = plain(self)
        return found


def analyse(
    trace: Trace, options: Options | None = None, progress: Progress | None = None, aside: Executor | None = None
) -> Analysis:
    """Return the analysis of ``trace`` (any order of rows, any number of them, 0 too).

    ``progress`` is called with parts done and parts in all. ``aside`` is given the search for bursts: second by second,
    it is plain Python, and in a process of its own it leaves the interpreter's lock to the other parts. These work on
    whole columns at once: a second or less per million rows, and little memory beyond the trace's own.
    """
    options = options or Options()
    back, trace = steps_back(trace.submitted_us), trace.sorted_by_time()
    calendar = Calendar.of(absolute=trace.absolute, day_zero_weekday=options.day_zero_weekday, zone_s=options.zone_s)
    with ThreadPoolExecutor(options.threads) as pool:
        work = _Work(trace, options, calendar, back)
        searched = work.search(aside or pool)
        parts = work.parts(pool)
        several = [pool.submit(work.class_analysis, one) for one in work.leaves.classes]
        parts["failures"] = pool.submit(_failures, trace, options.window_s, parts["burstiness"])
        parts["bursts"] = pool.submit(work.bursts, searched)
        waited = [*parts.values(), *several]
        for done, part in enumerate(waited, 1):
            part.result()
            if progress:
                progress(done, len(waited))
    found = {name: part.result() for name, part in parts.items()}
    return Analysis(**found, classes=tuple(part.result() for part in several))


class _Work:
    """The parts of an analysis, each of which may run beside the others."""

    def __init__(self, trace: Trace, options: Options, calendar: Calendar, back: tuple[int, int]) -> None:
        self._trace, self._options, self._calendar, self._back = trace, options, calendar, back
        self.leaves = leaves(trace, options.classes_max)
        self._arrivals = Arrivals.of(trace.submitted_us, trace.resolution_us)
        none = Arrivals.of(trace.submitted_us[:0], trace.resolution_us)
        self._searched = self._arrivals if options.bursts else none
        self._detector = AnalysisSettings(burst_warmup_s=options.burst_warmup_s)
        self._tallies: list[Future[Tallies]] = []
        self._seconds = seconds_since(trace.submitted_us, self._arrivals.start) if self._arrivals.whole else None

    def search(self, pool: Executor) -> Future[list[Episode]]:
        """Start the search for bursts."""
        return pool.submit(episodes, self._searched.by_second(), self._detector)

    def bursts(self, searched: Future[list[Episode]]) -> Bursts:
        """Return what is told of the bursts found."""
        return told(searched.result(), self._searched, self._detector)

    def parts(self, pool: Executor) -> dict[str, Future[Any]]:
        """Start the parts of all requests together, the longest first. A part waits for none that is started later."""
        trace, arrivals = self._trace, self._arrivals
        found: dict[str, Future[Any]] = {
            "burstiness": pool.submit(burstiness, arrivals, window_s=self._options.window_s),
        }
        width = response_width(trace)
        self._tallies = [pool.submit(self._tally, leaf, width) for leaf in range(self.leaves.count)]
        every = tuple(range(self.leaves.count))
        return found | {
            "file": pool.submit(file_facts, trace, self._calendar.words, self._back),
            "rate": pool.submit(rates, arrivals, self._calendar),
            "dispersion": pool.submit(_dispersion, arrivals),
            "lengths": pool.submit(lambda: lengths(self._known(every))),
            "relation": pool.submit(lambda: relation(self._known(every), trace)),
            "sessions": pool.submit(sessions, trace),
            "latency": pool.submit(lambda: latency(self._known(every))),
        }

    def _tally(self, leaf: int, width: int) -> Tallies:
        return tallies(self._trace, self.leaves.rows((leaf,)), width)

    def _known(self, leaves_of: tuple[int, ...]) -> Tallies:
        return together([self._tallies[leaf].result() for leaf in leaves_of])

    def class_analysis(self, one: Class) -> ClassAnalysis:
        """Return what is found of one class."""
        trace, rows = self._trace, self.leaves.rows(one.leaves)
        chosen = slice(None) if rows is None else rows
        arrivals = self._chosen_arrivals(chosen)
        known = self._known(one.leaves)
        failed = int(trace.failed[chosen].sum())
        n = arrivals.n - int(np.count_nonzero(trace.outcome[chosen] == OutcomeCode.CANCELLED))
        bounds = wilson_bounds(failed, n)
        return ClassAnalysis(
            name=one.name,
            model=one.model,
            log_type=one.log_type,
            n=arrivals.n,
            rate=rates(arrivals, self._calendar),
            burstiness=burstiness(arrivals, window_s=self._options.window_s),
            dispersion=_dispersion(arrivals),
            lengths=lengths(known),
            relation=relation(known, trace, rows),
            latency=latency(known),
            failed=failed,
            failed_ratio=failed / n if n else None,
            failed_lower=bounds[0] if bounds else None,
            failed_upper=bounds[1] if bounds else None,
        )

    def _chosen_arrivals(self, chosen: NDArray[np.bool_] | slice) -> Arrivals:
        if self._seconds is not None:
            return Arrivals.of_seconds(self._seconds[chosen], self._arrivals.start)
        return Arrivals.of(self._trace.submitted_us[chosen], self._trace.resolution_us)


def _failures(trace: Trace, window_s: int, known: Future[Burstiness]) -> Failures:
    windows = known.result().windows
    return failures(trace, window_s, windows["start_s"], windows["cv"])


def _dispersion(arrivals: Arrivals) -> Dispersion:
    return Dispersion(scales=scales_of(arrivals))
