"""What a stream's burstiness was before events were left out at random (sampling, one partition of several).

Leaving out events pulls every measure towards Poisson. Where each event was kept independently with the same
known probability, that can be undone exactly in expectation; the noise grows by 1/keep.
"""


def dispersion_before(index: float, keep: float) -> float:
    """Return the index of dispersion of the whole stream from that of the part kept: 1 + (I - 1)/keep.

    Holds for any point process (Cox and Lewis 1966). May fall below 0 by noise when ``keep`` is small. Raises
    ``ValueError`` unless 0 < keep <= 1.

    >>> dispersion_before(1.75, 0.25), dispersion_before(1.0, 0.1), dispersion_before(3.0, 1.0)
    (4.0, 1.0, 3.0)
    """
    return 1 + (index - 1) / _checked(keep)


def squared_cv_before(squared_cv: float, keep: float) -> float:
    """Return the squared CV of the whole stream's gaps: (CV^2 - (1 - keep))/keep, for renewal processes only.

    May fall below 0 by noise when ``keep`` is small. Raises ``ValueError`` unless 0 < keep <= 1.

    >>> squared_cv_before(1.75, 0.25), squared_cv_before(1.0, 0.5)
    (4.0, 1.0)
    """
    return (squared_cv - (1 - _checked(keep))) / keep


def _checked(keep: float) -> float:
    if not 0 < keep <= 1:
        raise ValueError("the share of events kept must be above 0 and at most 1")
    return keep
