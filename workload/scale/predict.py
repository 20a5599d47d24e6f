"""What a way of scaling will do to burstiness, before it is done. Pure.

Exact for renewal processes (gaps independent of each other); for real traces a guide, and the result is measured.
"""

import numpy as np
from numpy.typing import NDArray

from workload.scale.measure import BIN_REQUESTS, Measured, bin_width_us, dispersion, measure
from workload.scale.methods import SUPERPOSE, THIN
from workload.trace.columns import Trace

Floats = NDArray[np.float64]

_POINTS = 20_000


def thinned_cv(cv: float, keep: float) -> float:
    """Return the CV after each request was kept with one chance: CV'^2 = keep CV^2 + 1 - keep (renewal processes).

    >>> round(thinned_cv(2.0, 1 / 3), 4), thinned_cv(1.0, 0.1)
    (1.4142, 1.0)
    """
    return float((keep * cv * cv + 1 - keep) ** 0.5)


def thinned_dispersion(index: float, keep: float) -> float:
    """Return the index of dispersion after thinning: 1 + keep (I - 1), for any process (Cox and Lewis 1966)."""
    return 1 + keep * (index - 1)


def superposed_cv(gaps: Floats, copies: int) -> float:
    """Return the CV of the gaps of ``copies`` independent streams with these gaps, laid over each other.

    The next request after one comes from its own stream after a whole gap or from another after what is left of the
    gap it is in: P(gap > x) = F(x) G(x)^(copies - 1), with F the survival function of a gap and G(x) the integral of F
    from x on over the mean (Cox and Smith 1954). Then E[gap^2] is the integral of 2x P, and E[gap] = mean/copies.

    >>> poisson = -np.log1p(-(np.arange(20000) + 0.5) / 20000)
    >>> round(superposed_cv(poisson, 3), 2)
    1.0
    """
    ordered = np.sort(gaps)
    if len(ordered) > _POINTS:
        ordered = np.interp((np.arange(_POINTS) + 0.5) / _POINTS * len(ordered) - 0.5, np.arange(len(ordered)), ordered)
    mean = float(ordered.mean())
    # Points between the gaps too: P falls steeply near 0 where there are many copies.
    fine = np.geomspace(mean * 1e-6, max(ordered[-1], mean), 4000)
    x = np.concatenate(([0.0], np.unique(np.concatenate((ordered, fine)))))
    above = 1 - np.searchsorted(ordered, x[:-1], side="right") / len(ordered)  # F on [x_i, x_(i+1))
    widths = np.diff(x)
    left = np.concatenate((np.cumsum((above * widths)[::-1])[::-1], [0.0])) / mean
    middle = (left[1:] + left[:-1]) / 2
    chance = above * middle ** (copies - 1)
    second = float(np.sum((x[1:] ** 2 - x[:-1] ** 2) * chance))
    return float(np.sqrt(max(second / (mean / copies) ** 2 - 1, 0.0)))


def predict(
    trace: Trace, by: str, *, copies: int = 1, keep: float = 1.0
) -> tuple[float | None, dict[int, float | None]]:
    """Return CV and dispersion (over bins of about as many requests) after scaling; None where they are not known.

    ``compress`` keeps both, and so does a model, by its making. Superposed streams keep the dispersion per second, so
    bins that hold as many requests as before are shorter; thinned ones are longer and less dispersed.
    """
    source = measure(trace.submitted_us, trace.resolution_us)
    if by not in {SUPERPOSE, THIN} or source.cv is None:
        return source.cv, source.dispersion
    cv = source.cv
    if copies > 1:
        cv = superposed_cv(np.diff(trace.submitted_us) / 1e6, copies)
    return thinned_cv(cv, keep), {m: _dispersion(trace, source, m / (copies * keep), keep) for m in BIN_REQUESTS}


def _dispersion(trace: Trace, source: Measured, requests: float, keep: float) -> float | None:
    found = dispersion(trace.submitted_us, bin_width_us(source.stats, requests, trace.resolution_us))
    return None if found is None else thinned_dispersion(found, keep)
