"""Are the gaps Gamma distributed at all? Two estimates of one shape, compared."""

from math import log


def misfit(shape_moment: float | None, shape_likelihood: float | None) -> float | None:
    """Return ln(alpha_moment/alpha_likelihood): about 0 for Gamma gaps, below 0 for heavier tails.

    The likelihood follows the many short gaps, the moments the few long ones. Seen in 20 min at 2/s: 0 for
    Gamma(.5), -.4 for Weibull (k = .6) and for a two-state process with rates 1 and 10/s, -1.1 for Lomax(2.2).
    Then neither number alone describes the traffic. Without both: None.

    >>> misfit(0.5, 0.5), round(misfit(0.32, 0.47), 3), misfit(None, 0.5)
    (0.0, -0.384, None)
    """
    if shape_moment is None or shape_likelihood is None or shape_moment <= 0 or shape_likelihood <= 0:
        return None
    return log(shape_moment / shape_likelihood)
