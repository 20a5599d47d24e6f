"""The regularised incomplete gamma function and its quantile: one value at a time, standard library only."""

from math import exp, lgamma, log, sqrt
from statistics import NormalDist

_TINY = 1e-300
_STEPS_MAX = 100_000
_NORMAL = NormalDist()


def incomplete_gamma(a: float, x: float) -> float:
    """Return P(a, x), the distribution function of Gamma(shape a, scale 1) at ``x``; a > 0.

    The series of DLMF 8.11.4 up to x = a + 1, beyond it one less the continued fraction of DLMF 8.9.2 by Lentz's
    method. Relative error of the smaller of P and 1 - P: 1e-13 for small a, 1e-9 at 100,000 (the rounding of
    ln Gamma). Takes of the order of sqrt(a) steps.

    >>> round(incomplete_gamma(1, 1.0), 12), round(incomplete_gamma(0.5, 2.0), 12), incomplete_gamma(3, 0.0)
    (0.632120558829, 0.954499736104, 0.0)
    """
    if x <= 0:
        return 0.0
    front = exp(a * log(x) - x - lgamma(a))
    return front * _series(a, x) if x < a + 1 else 1 - front * _fraction(a, x)


def gamma_quantile(p: float, a: float) -> float:
    """Return x with P(a, x) = p, for 0 < p < 1; relative error about 1e-9. Twice x at a = k/2 is chi-squared's.

    Halley's method from Wilson and Hilferty's normal approximation (from the power law near 0), kept inside the
    bracket found so far.

    >>> round(gamma_quantile(0.5, 1), 9), round(2 * gamma_quantile(0.975, 29 / 2), 6)
    (0.693147181, 45.722286)
    """
    x, low, high = _start(p, a), 0.0, float("inf")
    for _ in range(100):
        miss = incomplete_gamma(a, x) - p
        low, high = (x, high) if miss < 0 else (low, x)
        step = miss / exp((a - 1) * log(x) - x - lgamma(a))
        step /= max(0.5, 1 - 0.5 * step * ((a - 1) / x - 1))
        better = x - step
        if not low <= better <= high:
            better = 2 * x if high == float("inf") else (low + high) / 2
        x, moved = better, abs(better - x)
        if moved <= 1e-5 * x:  # converges as a cube: nothing is left after this step
            break
    return x


def _series(a: float, x: float) -> float:
    term = value = 1 / a
    k = a
    while term > 1e-17 * value:
        k += 1
        term *= x / k
        value += term
    return value


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for m in range(1, _STEPS_MAX):
        odd = m * (a - m)
        b += 2
        d, c = 1 / _off_zero(b + odd * d), _off_zero(b + odd / c)
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _start(p: float, a: float) -> float:
    """Return a first guess at the quantile."""
    cube = 1 - 1 / (9 * a) + _NORMAL.inv_cdf(p) / (3 * sqrt(a))
    if cube > 0.3:
        return a * cube**3
    return max(exp((log(p) + lgamma(a + 1)) / a), _TINY)  # P is about x^a/Gamma(a + 1)
