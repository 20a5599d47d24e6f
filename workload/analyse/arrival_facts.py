"""What an analysis says of when requests come: gaps, counts, bursts. As facts.py."""

from dataclasses import dataclass

from workload.analyse.plain import Columns, Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalStats:
    """How gaps between requests vary: ``interarrival.describe``.

    Attributes:
        n: requests; ``gaps`` n - 1; ``rate_per_s`` = gaps over the time from the first to the last request.
        cv: of the gaps, corrected for finite size; ``zero_ratio`` the share of gaps of no length.
        alpha, beta: Gamma shape and rate parameter of the gaps (mean gap = alpha/beta); ``alpha_lower``,
            ``alpha_upper`` its 95 % interval where there is an honest one; ``method`` which estimator (see
            ``streams.stats.gamma_fit`` and "mle").
        misfit: ln(alpha by moments/alpha by likelihood): 0 for Gamma gaps, below for heavier tails.
        idc, allan: index of dispersion and Allan factor by scale in seconds ("1", "10", "60"); None for fewer
            than 30 bins: two or three counts have a variance that says nothing.
    """

    n: int
    gaps: int
    rate_per_s: float | None
    mean_gap_s: float | None
    cv: float | None
    zero_ratio: float | None
    alpha: float | None
    alpha_lower: float | None
    alpha_upper: float | None
    beta: float | None
    method: str | None
    misfit: float | None
    idc: dict[str, float | None]
    allan: dict[str, float | None]


FAMILIES = ("exponential", "gamma", "weibull", "lognormal")
PARAMETERS = {
    "exponential": ("rate",),
    "gamma": ("shape", "rate"),
    "weibull": ("shape", "scale"),
    "lognormal": ("mu", "sigma"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burstiness:
    """Gaps in windows (the paper's: 20 minutes), and which family fits them.

    Attributes:
        window_s: the windows' length; they begin at whole multiples of it. ``gaps_min``: gaps a window needs.
        overall: of the whole trace as one.
        windows: columns, a row a window with at least one request: ``start_s``, ``covered_s`` (how much of it lies
            within the trace), ``n`` (requests), ``gaps`` (that end in it), ``rate_per_s`` (over the covered part),
            ``cv``, ``alpha``, ``beta`` (= alpha x rate_per_s), ``method`` (text or None), ``misfit``,
            ``best`` (family of the smallest AIC, or None) and, for each family F of ``FAMILIES``,
            ``F_log_likelihood``, ``F_aic``, ``F_ks`` and ``F_<parameter>`` (``PARAMETERS``).
        likelihood: what the log-likelihoods are of: "density" (fine stamps, gaps in seconds) or "interval" (whole
            seconds: the probability of the cut gap).
        fitted: windows with fits; ``wins`` the share of them each family has the smallest AIC in, ``ks_mean`` its mean
            KS distance there, ``ks_passed`` the share with D below 1.358/sqrt(gaps) (generous: the parameters were
            fitted to the same gaps), ``aic_over_best`` the mean AIC above the best family's.
        cv_above_one_ratio: share of windows with a CV above 1.
        quantiles: p10, p25, p50, p75, p90 and "mean" of ``rate_per_s``, ``cv``, ``alpha``, ``beta`` over the windows.
    """

    window_s: int
    gaps_min: int
    overall: ArrivalStats
    windows: Columns
    likelihood: str
    fitted: int
    wins: dict[str, float]
    ks_mean: dict[str, float]
    ks_passed: dict[str, float]
    aic_over_best: dict[str, float]
    cv_above_one_ratio: float | None
    quantiles: dict[str, Quantiles]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Counts in bins: ``scales`` has columns ``scale_s``, ``bins``, ``mean``, ``idc``, ``allan`` (None: unknown).

    Scales finer than the stamps, and scales with fewer than 30 bins, are left out.
    """

    scales: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Episodes as the live detector ``scanz`` finds them, on all requests together.

    Attributes:
        threshold: the score at which one begins; ``warmup_s`` at the start in which none is told.
        n: bursts found; None where none was looked for: the trace is no longer than the warm-up. So are the ratios.
        episodes: columns ``onset_s``, ``duration_s`` (None: not over at the end), ``peak_per_s`` (in 10 s),
            ``baseline_per_s``, ``factor`` (peak over baseline), ``arrivals``, ``excess``, ``peak_z``.
        per_day: episodes a day of the time that was searched; ``time_ratio`` the share of that time in them,
            ``arrivals_ratio`` that of all requests.
        duration_s, factor: quantiles over the episodes.
    """

    detector: str
    threshold: float
    warmup_s: int
    n: int | None
    episodes: Columns
    per_day: float | None
    time_ratio: float | None
    arrivals_ratio: float | None
    duration_s: Quantiles
    factor: Quantiles
