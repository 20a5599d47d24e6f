"""The paper's analysis of a trace: rate, burstiness, bursts, lengths, sessions, failures; pure, of a ``Trace``."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from streams.stats.wilson import wilson_bounds
from workload.analyse.arrival_facts import Burstiness, Bursts, Dispersion
from workload.analyse.arrivals import Arrivals
from workload.analyse.burst_episodes import bursts
from workload.analyse.burstiness import burstiness
from workload.analyse.classes import Class, classes, file_facts
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
from workload.trace.columns import OutcomeCode, Trace

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
        classes_max: classes looked at one by one, the greatest first.
        bursts: look for bursts, too (else there are none).
        threads: how many parts are worked on at once; the result is the same for any number.
    """

    window_s: int = 1200
    day_zero_weekday: int | None = 2
    zone_s: int = 0
    classes_max: int = 12
    bursts: bool = True
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


def analyse(trace: Trace, options: Options | None = None, progress: Progress | None = None) -> Analysis:
    """Return the analysis of ``trace`` (any order of rows, any number of them, 0 too).

    ``progress`` is called with parts done and parts in all. Works on columns at once: a second or two per five million
    rows.
    """
    options = options or Options()
    trace = trace.sorted_by_time()
    calendar = Calendar.of(absolute=trace.absolute, day_zero_weekday=options.day_zero_weekday, zone_s=options.zone_s)
    with ThreadPoolExecutor(options.threads) as pool:
        parts = _parts(trace, options, calendar, pool)
        several = [pool.submit(_class, trace, one, options, calendar) for one in classes(trace, options.classes_max)]
        waited = [*parts.values(), *several]
        for done, part in enumerate(waited, 1):
            part.result()
            if progress:
                progress(done, len(waited) + 1)
        found = {name: part.result() for name, part in parts.items()}
        windows = found["burstiness"].windows
        failed = failures(trace, options.window_s, windows["start_s"], windows["cv"])
    return Analysis(**found, failures=failed, classes=tuple(part.result() for part in several))


def _parts(trace: Trace, options: Options, calendar: Calendar, pool: Executor) -> dict[str, Future[Any]]:
    times = trace.submitted_us
    arrivals = Arrivals.of(times, trace.resolution_us)
    return {
        "bursts": pool.submit(bursts, times if options.bursts else times[:0]),
        "burstiness": pool.submit(burstiness, arrivals, window_s=options.window_s),
        "file": pool.submit(file_facts, trace, calendar.words),
        "rate": pool.submit(rates, times, calendar),
        "dispersion": pool.submit(_dispersion, arrivals),
        "lengths": pool.submit(lengths, trace),
        "relation": pool.submit(relation, trace),
        "sessions": pool.submit(sessions, trace),
        "latency": pool.submit(latency, trace),
    }


def _dispersion(arrivals: Arrivals) -> Dispersion:
    return Dispersion(scales=scales_of(arrivals))


def _class(trace: Trace, one: Class, options: Options, calendar: Calendar) -> ClassAnalysis:
    part = trace.take(one.rows)
    arrivals = Arrivals.of(part.submitted_us, trace.resolution_us)
    failed, n = int(part.failed.sum()), int((part.outcome != OutcomeCode.CANCELLED).sum())
    bounds = wilson_bounds(failed, n)
    return ClassAnalysis(
        name=one.name,
        model=one.model,
        log_type=one.log_type,
        n=len(part),
        rate=rates(part.submitted_us, calendar),
        burstiness=burstiness(arrivals, window_s=options.window_s),
        dispersion=_dispersion(arrivals),
        lengths=lengths(part),
        relation=relation(part),
        latency=latency(part),
        failed=failed,
        failed_ratio=failed / n if n else None,
        failed_lower=bounds[0] if bounds else None,
        failed_upper=bounds[1] if bounds else None,
    )
