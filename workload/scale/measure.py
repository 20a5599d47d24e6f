"""What scaling may change: rate, CV, alpha, and dispersion where bins hold the same number of requests. Pure.

Bins of seconds would compare unlike things: at three times the rate, ten seconds hold three times the requests. What a
system feels that is sized in proportion is the dispersion over as many requests as before, whatever time they take.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.stats.dispersion import index_of_dispersion
from workload.analyse.arrival_facts import ArrivalStats
from workload.analyse.interarrival import describe

Ints = NDArray[np.int64]

BIN_REQUESTS = (10, 100)
_BINS_MIN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Facts of the arrivals; ``dispersion[m]`` is the index over bins of about m requests, None if they are too few."""

    rows: int
    stats: ArrivalStats
    dispersion: dict[int, float | None]

    @property
    def cv(self) -> float | None:
        """Finite-size corrected coefficient of variation of the gaps."""
        return self.stats.cv

    def cv_noise(self) -> float:
        """Return two standard errors of the CV over the CV, sqrt(2 (1 + CV^2)/n), as for Gamma gaps."""
        cv = self.cv
        return float(np.sqrt(2 * (1 + cv * cv) / self.stats.gaps)) if cv and self.stats.gaps else 1.0


def measure(times_us: Ints, resolution_us: int = 1, *, stretch: float = 1.0) -> Measured:
    """Return the facts of ascending times after stretching them by a factor and cutting them to the clock's step.

    A trace made from whole seconds is compared with its source fairly on the source's clock only: a trace that is
    three times as fast is stretched by 3 and cut to whole seconds. Rates and alphas are those of the times so changed.
    """
    times = on_clock(times_us, resolution_us, stretch=stretch)
    stats = describe(times, resolution_us)
    return Measured(
        rows=len(times),
        stats=stats,
        dispersion={m: dispersion(times, bin_width_us(stats, m, resolution_us)) for m in BIN_REQUESTS},
    )


def squared_cv(times_us: Ints) -> float | None:
    """Return the squared CV of the gaps of ascending times, corrected for finite size as ``streams.stats.cv``."""
    gaps = np.diff(times_us)
    n = len(gaps)
    mean = float(gaps.mean()) if n > 1 else 0.0
    if not mean:
        return None
    ratio = float(np.var(gaps)) / mean**2
    return n * ratio / (n - 1 - ratio) if ratio < n - 1 else None


def on_clock(times_us: Ints, resolution_us: int, *, stretch: float = 1.0) -> Ints:
    """Return times stretched, then cut to whole steps of a clock; microseconds that were cut before are made up for."""
    if stretch != 1:
        moved = (times_us + 1 if resolution_us > 1 else times_us + 0.5) * stretch
        times_us = np.floor(moved).astype(np.int64)
    return np.asarray(times_us - times_us % resolution_us, np.int64)


def bin_width_us(stats: ArrivalStats, requests: float, resolution_us: int) -> int | None:
    """Return the width of bins that hold ``requests`` on average, whole steps of the clock; None without a rate."""
    if not stats.rate_per_s:
        return None
    steps = requests / stats.rate_per_s * 1e6 / resolution_us
    return max(round(steps), 1) * resolution_us


def dispersion(times: Ints, width_us: int | None) -> float | None:
    """Return variance over mean of the counts in bins of ``width_us``; None for fewer than 30 bins."""
    if width_us is None or len(times) < 2:
        return None
    bins = int(times[-1] - times[0]) // width_us
    if bins < _BINS_MIN:
        return None
    places = (times - times[0]) // width_us
    places = places[places < bins]
    # Only bins that hold something, so that bins far shorter than the gaps cost nothing.
    counts = np.diff(np.flatnonzero(np.diff(places, prepend=-1, append=bins)))
    return index_of_dispersion(bins, int(counts.sum()), int(counts @ counts))
