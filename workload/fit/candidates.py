"""Families in competition: how well each describes the same data, and which one is taken. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf, inf, lgamma, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats.incomplete_gamma import incomplete_gamma

Floats = NDArray[np.float64]

TINY = 1e-300  # chances below are counted as this: a value a family cannot have is no reason for an infinite sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One family fitted to ``n`` observations.

    Attributes:
        parameters: by name; a family fitted window by window states the medians over the windows.
        free: how many numbers were fitted in all (a family with two parameters in 100 windows: 200).
        log_likelihood: natural logarithm, of all observations.
        ks: greatest distance between the observed and the family's distribution function; None where not judged.
    """

    family: str
    parameters: Mapping[str, float]
    free: int
    n: int
    log_likelihood: float
    ks: float | None = None

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2k - 2 ln L: the least is best."""
        return 2 * self.free - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz' criterion, k ln n - 2 ln L: the least is best, and numbers cost more than with ``aic``."""
        return self.free * log(max(self.n, 1)) - 2 * self.log_likelihood

    def as_dict(self) -> dict[str, Any]:
        """Return what is written down, rounded to what the estimates bear."""
        return {
            "family": self.family,
            "parameters": {name: float(f"{value:.5g}") for name, value in self.parameters.items()},
            "log_likelihood": round(self.log_likelihood, 1),
            "aic": round(self.aic, 1),
            "bic": round(self.bic, 1),
            "ks": None if self.ks is None else round(self.ks, 4),
        }


def best(found: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate of least AIC; None without any. All must have been fitted to the same observations.

    AIC, not BIC: nothing here is believed to be true exactly, what is wanted is the closest description.
    """
    return min(found, key=lambda one: one.aic if one.log_likelihood > -inf else inf, default=None)


def log_gammas(x: Floats) -> Floats:
    """Return ln Gamma(x), element by element (numpy has none): 0.1 us each."""
    return np.asarray(_LOG_GAMMA(x), np.float64)


def normal_cdf(z: Floats) -> Floats:
    """Return the standard normal distribution function of an array."""
    return 0.5 * (1.0 + np.asarray(_ERF(z / sqrt(2.0)), np.float64))


def gamma_cdf(shape: Floats, x: Floats) -> Floats:
    """Return P(shape, x), element by element: some 5 us each, so for thousands of values, not millions."""
    return np.asarray(_GAMMA_CDF(shape, x), np.float64)


_LOG_GAMMA = np.frompyfunc(lgamma, 1, 1)
_ERF = np.frompyfunc(erf, 1, 1)
_GAMMA_CDF = np.frompyfunc(incomplete_gamma, 2, 1)
