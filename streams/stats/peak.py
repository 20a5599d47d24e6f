"""The busiest bin of a window: how high, and how surprising for so many bins."""

from math import expm1, log1p
from statistics import NormalDist

from streams.stats.incomplete_beta import incomplete_beta

_NORMAL = NormalDist()
_P_MIN = 1e-300
PEAK_Z_MAX = -_NORMAL.inv_cdf(_P_MIN)  # 37.0: beyond all doubt


def peak_to_mean(bins: int, total: int, peak: int) -> float | None:
    """Return the greatest of ``bins`` counts over their mean; ``total`` is their sum. No arrivals: None.

    It grows with the number of bins and falls with the rate even in Poisson traffic (about
    1 + sqrt(2 ln(bins)/mean)); ``peak_z`` allows for both.

    >>> peak_to_mean(10, 20, 8), peak_to_mean(10, 0, 0)
    (4.0, None)
    """
    return peak * bins / total if total else None


def peak_z(bins: int, total: int, peak: int) -> float | None:
    """Return how surprising the greatest of ``bins`` counts is, as a standard normal deviate.

    Given their ``total``, the counts of Poisson traffic fall into the bins like balls, so one bin reaches
    ``peak`` with probability p = I_{1/bins}(peak, total - peak + 1) (the binomial tail as an incomplete beta
    function), and any of them with at most about 1 - (1 - p)^bins. The deviate has that upper tail: in Poisson
    traffic it exceeds z no more often than a standard normal one does, whatever the rate and the window. At most
    ``PEAK_Z_MAX``. No arrivals, or one bin: None.

    >>> round(peak_z(60, 120, 7), 2), round(peak_z(60, 120, 20), 2), peak_z(60, 600, 600) == PEAK_Z_MAX
    (0.77, 7.04, True)
    >>> peak_z(60, 0, 0) is None
    True
    """
    if bins < 2 or not total:
        return None
    tail = incomplete_beta(peak, total - peak + 1, 1 / bins)
    any_bin = -expm1(bins * log1p(-tail)) if tail < 1 else 1.0
    return -_NORMAL.inv_cdf(min(max(any_bin, _P_MIN), 1 - 2**-53))
