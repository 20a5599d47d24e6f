"""Bursts of a whole trace, as the live detector finds them. Pure; of sorted times."""

import numpy as np

from streams.processors.outputs import Episode
from streams.processors.settings import AnalysisSettings
from workload.analyse.arrival_facts import Bursts
from workload.analyse.arrivals import Arrivals
from workload.analyse.burst_scan import episodes
from workload.analyse.quantiles import quantiles

_SECOND_US = 1_000_000
_DAY_S = 86_400


def bursts(arrivals: Arrivals, settings: AnalysisSettings | None = None) -> Bursts:
    """Return the facts of ``arrival_facts.Bursts``: episodes that end in the trace, and one that does not."""
    settings = settings or AnalysisSettings()
    return told(episodes(arrivals, settings), arrivals, settings)


def told(found: list[Episode], arrivals: Arrivals, settings: AnalysisSettings) -> Bursts:
    """Return the episodes as facts."""
    last_s, searched_s = arrivals.last_s, max(arrivals.span_s - settings.burst_warmup_s, 0.0)
    duration = np.array([np.nan if e.end is None else (e.end - e.onset) / _SECOND_US for e in found])
    peak, baseline = np.array([e.peak_rate for e in found]), np.array([e.baseline_rate for e in found])
    with np.errstate(all="ignore"):
        factor = peak / baseline
    lasted_s = sum((last_s if e.end is None else e.end / _SECOND_US) - e.onset / _SECOND_US for e in found)
    return Bursts(
        detector="scanz",
        threshold=settings.burst_threshold,
        warmup_s=settings.burst_warmup_s,
        n=len(found) if searched_s else None,
        episodes={
            "onset_s": np.array([e.onset / _SECOND_US for e in found]),
            "duration_s": duration,
            "peak_per_s": peak,
            "baseline_per_s": baseline,
            "factor": factor,
            "arrivals": np.array([e.arrivals for e in found], np.int64),
            "excess": np.array([e.excess for e in found]),
            "peak_z": np.array([e.peak_z for e in found]),
        },
        per_day=len(found) / searched_s * _DAY_S if searched_s else None,
        time_ratio=lasted_s / searched_s if searched_s else None,
        arrivals_ratio=sum(e.arrivals for e in found) / arrivals.n if searched_s else None,
        duration_s=quantiles(duration),
        factor=quantiles(factor),
    )
