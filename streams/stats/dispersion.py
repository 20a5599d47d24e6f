"""Index of dispersion of counts: variance over mean of the number of arrivals per bin."""


def index_of_dispersion(bins: int, total: int, squares: int) -> float | None:
    """Return the sample variance (ddof 1) of ``bins`` counts over their mean.

    ``total`` is the sum of the counts, ``squares`` the sum of their squares, both exact. 1 for Poisson traffic
    (unbiased there), above for bursts, below for regular spacing (Cox and Lewis 1966; Gusella, IEEE JSAC
    9:203, 1991, who warns that a drifting rate raises it too). Fewer than two bins or no arrivals: None.

    >>> index_of_dispersion(4, 8, 16), index_of_dispersion(4, 4, 16), index_of_dispersion(4, 0, 0)
    (0.0, 4.0, None)
    """
    if bins < 2 or not total:
        return None
    return (bins * squares - total * total) / ((bins - 1) * total)
