"""Wilson's interval for a proportion: closed form, close to its nominal coverage at small counts."""

from math import sqrt

Z_95 = 1.959963984540054


def wilson_bounds(successes: int, trials: int, z: float = Z_95) -> tuple[float, float] | None:
    """Return the lower and upper bound of the true proportion; None without trials.

    Centre (p + z^2/2n)/(1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2)/(1 + z^2/n)
    (Wilson 1927; Brown, Cai and DasGupta 2001). Exactly 0 or 1 at the ends of the range.

    >>> [round(bound, 6) for bound in wilson_bounds(2, 10)]
    [0.056682, 0.509838]
    >>> wilson_bounds(0, 5)[0], wilson_bounds(5, 5)[1], wilson_bounds(0, 0)
    (0.0, 1.0, None)
    """
    if not trials:
        return None
    p = successes / trials
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    lower = 0.0 if successes == 0 else max(0.0, centre - half)
    upper = 1.0 if successes == trials else min(1.0, centre + half)
    return lower, upper
