"""Index of dispersion of counts: variance over mean of the number of arrivals per bin."""

from math import sqrt

from streams.stats.incomplete_gamma import gamma_quantile

_EVENTS_PER_BIN_MIN = 5
_Z_99 = 2.3263478740408408


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


def dispersion_interval(index: float, bins: int, total: int) -> tuple[float, float] | None:
    """Return the 95 % interval of the index of dispersion that ``bins`` counts with sum ``total`` gave.

    nu I/chi2(.975; nu) to nu I/chi2(.025; nu), with nu = 2(m-1)/(2 + (3I-1)(I-1)/(I mean)), never above m-1: the
    classic interval (nu = m-1; Cox and Lewis 1966) made wider for the skewness that over-dispersed counts have,
    by the delta method with the third and fourth moments of a negative binomial of that mean and index. Covers
    94 to 98 % for Poisson, negative binomial and Gamma renewal counts from 30 bins and two events per bin (the
    classic one falls to 33 %); 86 % and more down to half an event per bin. Bins must be independent, see
    ``bins_are_independent``: where the rate keeps a level for many bins, it covers as little as 52 %. Fewer than
    two bins, all counts equal, or less than one degree of freedom left: None.

    >>> [round(bound, 3) for bound in dispersion_interval(1.0, 30, 300)]
    [0.634, 1.807]
    >>> [round(bound, 3) for bound in dispersion_interval(4.0, 30, 300)], dispersion_interval(0.0, 30, 300)
    ([2.355, 8.248], None)
    """
    if bins < 2 or not total or index <= 0:
        return None
    mean = total / bins
    skewed = max((3 * index - 1) * (index - 1) / (index * mean), 0.0)
    freedom = 2 * (bins - 1) / (2 + skewed)
    if freedom < 1:
        return None
    half = freedom * index / 2
    return half / gamma_quantile(0.975, freedom / 2), half / gamma_quantile(0.025, freedom / 2)


def bins_are_independent(index: float, allan: float, bins: int) -> bool:
    """True unless neighbouring counts are alike beyond chance (1 %): the interval of the index is then too narrow.

    The Allan factor over the index is von Neumann's ratio (Ann. Math. Stat. 12:367, 1941), one less the correlation
    of neighbours, with variance 1/m for m independent bins. Drift too weak to be seen so adds little to the error.

    >>> bins_are_independent(1.1, 1.0, 300), bins_are_independent(2.4, 1.0, 300)
    (True, False)
    """
    return (index - allan) * sqrt(bins) <= _Z_99 * index


def shape_of_dispersion(index: float, rate: float, tau_s: float) -> float | None:
    """Return the Gamma shape of the gaps of a renewal process whose counts in bins of ``tau_s`` have this index.

    Inverts I = 1/a + (1 - 1/a^2)/(6 rate tau) (Cox 1962, equilibrium renewal process): with c = 1/(6 rate tau)
    a = (1 + sqrt(1 - 4c(I - c)))/(2(I - c)). Unaffected by whole-second stamps if bins are whole seconds.
    Needs five events per bin (``rate`` per second); fewer, or an index that no renewal process of that rate
    has, give None.

    >>> shape_of_dispersion(1.0, 2.0, 10.0), round(shape_of_dispersion(4 - 15 / 120, 2.0, 10.0), 9)
    (1.0, 0.25)
    >>> shape_of_dispersion(1.0, 0.4, 10.0) is None, shape_of_dispersion(0.0, 2.0, 10.0) is None
    (True, True)
    """
    events = rate * tau_s
    if events < _EVENTS_PER_BIN_MIN:
        return None
    c = 1 / (6 * events)
    root = 1 - 4 * c * (index - c)
    if index <= c or root < 0:
        return None
    return (1 + sqrt(root)) / (2 * (index - c))
