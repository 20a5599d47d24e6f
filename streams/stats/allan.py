"""Allan factor of counts: how much neighbouring bins differ, against how much Poisson counts would."""


def allan_factor(bins: int, total: int, squared_steps: int) -> float | None:
    """Return A = E[(N_{k+1} - N_k)^2]/(2 E[N]) of ``bins`` consecutive counts.

    ``total`` is the sum of the counts, ``squared_steps`` the sum of the ``bins - 1`` squared differences of
    neighbours, both exact. 1 for Poisson traffic, also when its rate drifts: a slow trend enters only through
    its squared step, where the index of dispersion takes the whole of it for burstiness (Allan 1966; Lowen and
    Teich 2005). An index of dispersion far above the Allan factor means drift. Fewer than two bins, or no
    arrivals: None.

    >>> allan_factor(4, 8, 0), allan_factor(4, 10, 3), allan_factor(4, 0, 0), allan_factor(1, 5, 0)
    (0.0, 0.2, None, None)
    """
    if bins < 2 or not total:
        return None
    return squared_steps * bins / (2 * (bins - 1) * total)
