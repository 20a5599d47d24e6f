"""The burstiness parameter B of gaps: -1 for a clock, 0 for Poisson, towards 1 for ever greater bursts."""

from math import sqrt


def burstiness(squared_cv: float | None) -> float | None:
    """Return B = (r - 1)/(r + 1) of the coefficient of variation r (Goh and Barabasi, EPL 81:48002, 2008).

    Given the squared CV corrected for finite size (``cv.squared_cv``) its bias is small from five gaps on:
    .306, .301, .312 at 5, 10, 30 gaps where .333 is true (medians; Gamma gaps); the paper's own, from the plain
    population CV, has .101, .198, .277 there. Without a CV: None.

    >>> burstiness(0.0), burstiness(1.0), burstiness(4.0), burstiness(None)
    (-1.0, 0.0, 0.3333333333333333, None)
    """
    if squared_cv is None:
        return None
    r = sqrt(squared_cv)
    return (r - 1) / (r + 1)


def kim_jo(cv_population: float, gaps: int) -> float | None:
    """Return Kim and Jo's burstiness of ``gaps`` gaps, for comparison with the literature only.

    (sqrt(n+1) r - sqrt(n-1))/((sqrt(n+1) - 2) r + sqrt(n-1)) with r the plain population CV (PRE 94:032311, 2016):
    -1, 0 and 1 at r = 0, sqrt((n-1)/(n+1)) and sqrt(n-1), its value when all of the time lies in one gap. Biased
    upwards where traffic is bursty: .423, .404, .382 at 5, 10, 30 gaps where .333 is true. Fewer than two gaps: None.

    >>> kim_jo(0.0, 8), round(kim_jo(sqrt(7), 8), 12), round(kim_jo(sqrt(7 / 9), 8), 12), kim_jo(1.0, 1)
    (-1.0, 1.0, 0.0, None)
    """
    if gaps < 2:
        return None
    more, fewer = sqrt(gaps + 1), sqrt(gaps - 1)
    return (more * cv_population - fewer) / ((more - 2) * cv_population + fewer)
