"""The regularised incomplete beta function and its quantile: one value at a time, standard library only."""

from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

_TINY = 1e-300
_BELOW_ONE = 1 - 2**-53
_STEPS_MAX = 100_000
_NORMAL = NormalDist()


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return I_x(a, b), the distribution function of Beta(a, b) at ``x``; a, b > 0.

    The continued fraction of DLMF 8.17.22 by Lentz's method, and I_x(a, b) = 1 - I_{1-x}(b, a) above the mean.
    Relative error of the smaller of I and 1 - I: 1e-12 for small a + b, 1e-8 at a million (the rounding of
    ln Gamma).

    >>> round(incomplete_beta(1, 1, 0.25), 12), round(incomplete_beta(0.5, 0.5, 0.5), 12)
    (0.25, 0.5)
    >>> round(incomplete_beta(2, 3, 0.5), 12), incomplete_beta(2, 3, 0.0), incomplete_beta(2, 3, 1.0)
    (0.6875, 0.0, 1.0)
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _lower(b, a, 1 - x)
    return _lower(a, b, x)


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = p, for 0 < p < 1; relative error about 1e-9.

    Halley's method from the normal approximation of Abramowitz and Stegun 26.5.22 (from a power law or
    Student's t if a or b is below 1), kept inside the bracket found so far.

    >>> round(beta_quantile(0.6875, 2, 3), 9), round(beta_quantile(0.25, 1, 1), 9)
    (0.5, 0.25)
    """
    x, low, high = _start(p, a, b), _TINY, _BELOW_ONE
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    for _ in range(60):
        miss = incomplete_beta(a, b, x) - p
        low, high = (x, high) if miss < 0 else (low, x)
        step = miss / exp((a - 1) * log(x) + (b - 1) * log1p(-x) + scale)
        step /= max(0.5, 1 - 0.5 * step * ((a - 1) / x - (b - 1) / (1 - x)))
        better = x - step
        if not low <= better <= high:
            better = (low + high) / 2
        x, moved = better, abs(better - x)
        if moved <= 1e-5 * min(x, 1 - x):  # converges as a cube: nothing is left after this step
            break
    return x


def _lower(a: float, b: float, x: float) -> float:
    """Return I_x(a, b) for x up to about the mean."""
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS_MAX):
        twice = a + 2 * m
        even = m * (b - m) * x / ((twice - 1) * twice)
        under, c = 1 + even * d, 1 + even / c
        d, c = 1 / (under if abs(under) > _TINY else _TINY), c if abs(c) > _TINY else _TINY
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / (twice * (twice + 1))
        under, c = 1 + odd * d, 1 + odd / c
        d, c = 1 / (under if abs(under) > _TINY else _TINY), c if abs(c) > _TINY else _TINY
        factor = d * c
        value *= factor
        if -1e-15 < factor - 1 < 1e-15:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _start(p: float, a: float, b: float) -> float:
    """Return a first guess at the quantile."""
    if a >= 1 and b >= 1:
        y = _NORMAL.inv_cdf(p)
        h = 2 / (1 / (2 * a - 1) + 1 / (2 * b - 1))
        k = (y * y - 3) / 6
        w = -y * sqrt(h + k) / h - (1 / (2 * b - 1) - 1 / (2 * a - 1)) * (k + 5 / 6 - 2 / (3 * h))
        return a / (a + b * exp(2 * w))
    if a == 0.5:  # Student's t with 2b degrees of freedom, squared: no failures among b - 1/2, the usual case
        t = _NORMAL.inv_cdf((1 + p) / 2)
        t += (t**3 + t) / (8 * b)
        return t * t / (2 * b + t * t)
    left = exp(a * log(a / (a + b))) / a
    right = exp(b * log(b / (a + b))) / b
    whole = left + right
    below = exp(log(a * whole * p) / a)
    x = below if p < left / whole else 1 - exp(log(b * whole * (1 - p)) / b)
    return min(max(x, _TINY), _BELOW_ONE)
