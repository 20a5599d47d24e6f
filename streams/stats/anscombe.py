"""How surprising is a count? Anscombe's variance-stabilised score against an over-dispersed baseline."""

from math import sqrt


def burst_score(count: float, expected: float, dispersion: float, tolerance: float) -> float:
    """Return z of ``count`` where ``expected`` were expected: about N(0, 1) in ordinary traffic.

    z = 2 (sqrt(N + 3/8) - sqrt(m + 3/8)) / sqrt(phi + eps^2 m) (Anscombe 1948; expectation-based scan, Neill
    2009; over-dispersion as Zhang, Zhang and Lin 2012). ``dispersion`` phi is the baseline's variance over mean;
    ``tolerance`` eps the baseline's tolerated relative error, which makes a least effect: at high rates only
    N/m >= (1 + eps z/2)^2 reaches z.

    >>> burst_score(50, 50, 1.0, 0.1)
    0.0
    >>> round(burst_score(100, 50, 1.0, 0.1), 3), round(burst_score(100, 50, 4.0, 0.1), 3)
    (4.77, 2.754)
    """
    return 2 * (sqrt(count + 0.375) - sqrt(expected + 0.375)) / sqrt(dispersion + tolerance**2 * expected)


def burst_count(score: float, expected: float, dispersion: float, tolerance: float) -> float:
    """Return the count whose ``burst_score`` is ``score`` (not below that of no arrivals at all).

    >>> round(burst_count(4.77, 50, 1.0, 0.1), 2)
    100.0
    >>> burst_count(0.0, 50, 1.0, 0.1)
    50.0
    """
    root = sqrt(expected + 0.375) + score / 2 * sqrt(dispersion + tolerance**2 * expected)
    return root * root - 0.375
