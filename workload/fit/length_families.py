"""Which family do token lengths follow? Log-normal, Gamma, Zipf, and Pareto with log-normal, by likelihood. Pure.

Lengths are whole numbers: a continuous family gives length k the chance F(k + 1/2) - F(k - 1/2), so that its
likelihood can be compared with Zipf's. Parameters are those that maximise the density (Zipf: the chances).
"""

from collections.abc import Callable
from math import exp, lgamma, log, pi, sqrt

import numpy as np

from streams.stats.gamma import mle
from workload.fit.candidates import TINY, Candidate, Floats, gamma_cdf, normal_cdf

VALUES_MIN = 3  # distinct lengths a family needs to be judged at all
_EXACT_UP_TO = 20.0  # beyond, a density hardly bends within one token
_ZIPF_BOUNDS = (0.01, 8.0)
_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # quantiles at which the Pareto part may begin
_EM_STEPS = 80
_TERMS = 1000
_NEAR, _NODES = 64, 400  # Gamma's distribution function is worked out for so many lengths, the rest interpolated

Curve = Callable[[Floats], Floats]


def length_candidates(values: Floats, counts: Floats) -> list[Candidate]:
    """Return the families fitted to lengths ``values`` (ascending, once each, above 0), seen ``counts`` times.

    None (an empty list) for fewer than ``VALUES_MIN`` distinct lengths: nothing to choose by.
    """
    if len(values) < VALUES_MIN:
        return []
    found = [_lognormal(values, counts), _gamma(values, counts), _zipf(values, counts)]
    return [*found, _pareto_lognormal(values, counts)]


def _lognormal(values: Floats, counts: Floats) -> Candidate:
    mu, sigma = _log_moments(np.log(values), counts)
    parameters = {"mu": mu, "sigma": sigma}
    return _judged("lognormal", parameters, (values, counts), (lognormal_pdf(mu, sigma), lognormal_cdf(mu, sigma)))


def _gamma(values: Floats, counts: Floats) -> Candidate:
    n, total, logs = float(counts.sum()), float(counts @ values), float(counts @ np.log(values))
    shape = float(mle(n, total, logs))
    rate = shape * n / total
    front = shape * log(rate) - lgamma(shape)

    def density(x: Floats) -> Floats:
        return np.exp(front + (shape - 1) * np.log(x) - rate * x)

    def below(x: Floats) -> Floats:
        near, step = min(_NEAR, len(x)), max(1, len(x) // _NODES)
        nodes = np.unique(np.concatenate([np.arange(near), np.arange(0, len(x), step), [len(x) - 1]]))
        at = gamma_cdf(np.full(len(nodes), shape), np.maximum(rate * x[nodes], 0.0))
        return np.asarray(np.interp(x, x[nodes], at), np.float64)

    return _judged("gamma", {"shape": shape, "rate": rate}, (values, counts), (density, below))


def _zipf(values: Floats, counts: Floats) -> Candidate:
    """Chances k^-theta over k = 1..greatest; theta by bisection on the mean of ln k, which falls as theta grows."""
    wanted = float(counts @ np.log(values)) / float(counts.sum())
    low, high = _ZIPF_BOUNDS
    for _ in range(40):
        theta = (low + high) / 2
        total, logs = (float(sums[0]) for sums in _zipf_sums(theta, values[-1:]))
        low, high = (theta, high) if logs / total > wanted else (low, theta)
    sums = _zipf_sums(theta, values)[0]
    chances, below = values**-theta / sums[-1], sums / sums[-1]
    return Candidate(
        family="zipf",
        parameters={"theta": theta, "max": float(values[-1])},
        free=1,
        n=int(counts.sum()),
        log_likelihood=float(counts @ np.log(np.maximum(chances, TINY))),
        ks=_distance(counts, below, below - chances),
    )


def _zipf_sums(theta: float, upto: Floats) -> tuple[Floats, Floats]:
    """Return the sums of k^-theta and of k^-theta ln k over k = 1..n for each n of ``upto`` (whole numbers).

    Term by term up to ``_TERMS``, beyond by the midpoint rule: the integral from there to n + 1/2, right to 1e-7.
    """
    ranks = np.arange(1.0, min(_TERMS, float(upto[-1])) + 1.0)
    terms = ranks**-theta
    place = np.minimum(upto, _TERMS).astype(np.int64) - 1
    sums, logs = np.cumsum(terms)[place], np.cumsum(terms * np.log(ranks))[place]
    far = upto > _TERMS
    a, power = log(_TERMS + 0.5), 1 - theta + (1e-9 if theta == 1 else 0.0)
    b = np.log(upto[far] + 0.5)
    low, high = exp(power * a), np.exp(power * b)
    sums[far] += (high - low) / power
    logs[far] += (b * high - a * low) / power - (high - low) / power**2
    return sums, logs


def _pareto_lognormal(values: Floats, counts: Floats) -> Candidate:
    """Weight w of a Pareto from some threshold on, the rest log-normal (ServeGen's prompts): EM per threshold."""
    edges = np.unique(values[np.searchsorted(np.cumsum(counts), np.asarray(_THRESHOLDS) * counts.sum())])
    fits = [_mixed(values, counts, float(edge)) for edge in edges]
    return max(fits, key=lambda fit: fit.log_likelihood)


def _mixed(values: Floats, counts: Floats, start: float) -> Candidate:
    """EM for a mixture of a Pareto from ``start`` on and a log-normal."""
    logs, over = np.log(values), values >= start
    excess = np.where(over, logs - log(start), 0.0)
    n = float(counts.sum())
    weight, tail = 0.1, max(float(counts[over].sum()) / max(float(counts @ excess), TINY), 0.05)
    mu, sigma = _log_moments(logs, counts)
    for _ in range(_EM_STEPS):
        heavy = weight * np.where(over, tail * np.exp(-tail * excess - logs), 0.0)
        light = (1 - weight) * lognormal_pdf(mu, sigma)(values)
        mine = counts * heavy / np.maximum(heavy + light, TINY)
        weight = min(max(float(mine.sum()) / n, 1e-6), 1 - 1e-6)
        tail = min(max(float(mine.sum()) / max(float(mine @ excess), TINY), 0.05), 50.0)
        mu, sigma = _log_moments(logs, np.maximum(counts - mine, 0.0))
    body_pdf, body_cdf = lognormal_pdf(mu, sigma), lognormal_cdf(mu, sigma)

    def density(x: Floats) -> Floats:
        pareto = np.where(x >= start, tail / start * (np.maximum(x, start) / start) ** (-tail - 1), 0.0)
        return weight * pareto + (1 - weight) * body_pdf(x)

    def below(x: Floats) -> Floats:
        return weight * (1 - (np.maximum(x, start) / start) ** -tail) + (1 - weight) * body_cdf(x)

    parameters = {"weight": weight, "from": start, "tail": tail, "mu": mu, "sigma": sigma}
    return _judged("pareto+lognormal", parameters, (values, counts), (density, below))


def lognormal_pdf(mu: float, sigma: float) -> Curve:
    """Return the density of a log-normal, for values above 0."""

    def density(x: Floats) -> Floats:
        logs: Floats = np.log(x)
        return np.exp(-(((logs - mu) / sigma) ** 2) / 2 - logs) / (sigma * sqrt(2 * pi))

    return density


def lognormal_cdf(mu: float, sigma: float) -> Curve:
    """Return the distribution function of a log-normal; 0 for values that are not above 0."""

    def below(x: Floats) -> Floats:
        return np.where(x > 0, normal_cdf((np.log(np.maximum(x, TINY)) - mu) / sigma), 0.0)

    return below


def _log_moments(logs: Floats, counts: Floats) -> tuple[float, float]:
    n = max(float(counts.sum()), TINY)
    mu = float(counts @ logs) / n
    return mu, max(sqrt(float(counts @ (logs - mu) ** 2) / n), exp(-7))  # a width of zero has no density


def _judged(
    family: str, parameters: dict[str, float], data: tuple[Floats, Floats], curves: tuple[Curve, Curve]
) -> Candidate:
    (values, counts), (density, below) = data, curves
    upper, lower = below(values + 0.5), below(values - 0.5)
    chances = np.where(values <= _EXACT_UP_TO, upper - lower, density(values))
    return Candidate(
        family=family,
        parameters=parameters,
        free=len(parameters),
        n=int(counts.sum()),
        log_likelihood=float(counts @ np.log(np.maximum(chances, TINY))),
        ks=_distance(counts, upper, lower),
    )


def _distance(counts: Floats, upper: Floats, lower: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance: just above and just below each value seen."""
    seen = np.cumsum(counts) / counts.sum()
    return float(max(np.abs(seen - upper).max(), np.abs(seen - counts / counts.sum() - lower).max()))
