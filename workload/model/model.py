"""What a workload is like, as numbers: classes of requests, each with arrivals, lengths, sessions, failures. Pure.

`workload fit` finds these numbers in a trace, `workload generate` draws a trace from them; ``file`` reads and writes
them as TOML. Times are seconds, rates requests per second, probabilities 0 to 1. Every part may name where its
numbers come from (``source``), so that a reader can judge them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, expm1

FORMAT, VERSION = "burstwatch-workload", 1
RENEWAL, SESSIONS = "renewal", "sessions"
KINDS = (RENEWAL, SESSIONS)
FAMILIES = ("gamma", "weibull", "lognormal", "exponential")
EMPIRICAL = "empirical"  # no family: the gaps' own quantiles
WINDOW_S = 1200.0  # the paper fits alpha and beta in windows of 20 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One distribution that was tried: its parameters and how well it fits. ``of`` says what it describes.

    ``log_likelihood`` and ``ks`` (Kolmogorov-Smirnov distance, 0 to 1) are None where they are not known.
    """

    of: str
    family: str
    parameters: dict[str, float] = field(default_factory=dict)
    log_likelihood: float | None = None
    ks: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """A distribution as points of its quantile function: both sequences grow, probabilities from 0 to 1.

    Between points it is linear, or linear in the logarithm where the user says so (token counts).
    """

    probabilities: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of what is drawn if it is linear between points."""
        points = pairwise(zip(self.probabilities, self.values, strict=True))
        return sum((q - p) * (a + b) / 2 for (p, a), (q, b) in points)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """A log-normal time in seconds, exp(mu + sigma z), values above ``max_s`` being cut to it."""

    mu: float
    sigma: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The paper's alpha(t) and beta(t): rate and burstiness window by window, from ``start_s[0]`` = 0 on.

    Window i lasts until the next one starts, the last one for ``Arrivals.window_s``; then the timeline begins again.
    In a class with bursts it says the rate between them.
    ``rate_per_s`` may be 0 (nothing came), ``alpha`` not.
    """

    start_s: tuple[float, ...]
    rate_per_s: tuple[float, ...]
    alpha: tuple[float, ...]

    @property
    def beta(self) -> tuple[float, ...]:
        """The Gamma rate parameter of each window, per second: alpha times the request rate (mean gap alpha/beta)."""
        return tuple(a * rate for a, rate in zip(self.alpha, self.rate_per_s, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests come.

    Attributes:
        kind: "renewal": gaps between requests are drawn from ``family``. "sessions": gaps between the *starts of
            sessions* are, and later turns follow after think times.
        family: distribution of the gaps; whichever it is, ``alpha`` stands for 1/CV^2 (for Gamma: its shape).
            "empirical" is none of a formula: ``gaps`` has its quantiles, one law for all windows.
        gaps: with "empirical" only: quantiles of the gaps over their mean, see ``gap_law``.
        rate_per_s: requests a second (with sessions: all turns), the mean over everything: profile and bursts too.
        alpha: 1/CV^2 of the gaps where no timeline says it window by window; 1 is Poisson, below 1 bursty.
        window_s: length of the timeline's windows.
        profile: 24 factors by hour of the day or 168 by hour of the week, Monday first, of mean 1; () for none.
        timeline: rate and burstiness by window; where there is one, it says the rate and the profile is not used.
    """

    rate_per_s: float
    alpha: float
    kind: str = RENEWAL
    family: str = "gamma"
    window_s: float = WINDOW_S
    profile: tuple[float, ...] = ()
    timeline: Timeline | None = None
    gaps: Quantiles | None = None
    candidates: tuple[Candidate, ...] = ()
    source: str = ""

    @property
    def law(self) -> str | Quantiles:
        """What gaps are drawn from: a family by its name, or their own quantiles."""
        return self.gaps or self.family

    @property
    def beta(self) -> float:
        """The Gamma rate parameter, per second: alpha times the request rate."""
        return self.alpha * self.rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Episodes in which requests come ``factor`` times as fast as before: ``per_hour`` of them on average."""

    per_hour: float
    duration_s: Quantiles
    factor: Quantiles
    source: str = ""

    @property
    def gain(self) -> float:
        """By how much they raise the mean rate: 1 + their share of the time times (mean factor - 1).

        One is on while the last one begun is not over (one that begins during another ends it). Begun like a Poisson
        process of rate r, that has the chance E[1 - exp(-r duration)]: the mean over the duration's quantiles.
        """
        law, per_s = self.duration_s, self.per_hour / 3600
        points = pairwise(zip(law.probabilities, law.values, strict=True))
        share = sum((q - p) * _on(per_s * a, per_s * b) for (p, a), (q, b) in points)
        return 1 + share * (self.factor.mean - 1)


def _on(low: float, high: float) -> float:
    """Return the mean of 1 - exp(-x) for x even between ``low`` and ``high``."""
    wide = high - low
    return 1 - exp(-low) * (-expm1(-wide) / wide if wide > 0 else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseBin:
    """Response lengths of requests of up to ``request_up_to`` tokens (and above the bin before).

    ``probabilities`` is empty where those of ``Lengths`` serve.
    """

    request_up_to: int
    response_tokens: tuple[float, ...]
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Request lengths as quantiles, response lengths given the request's: their dependence is kept.

    Tokens, at least 1, linear in the logarithm between quantiles. The last bin also takes longer requests.
    ``candidates`` are the families that were tried, for the reader; lengths are drawn from the quantiles.
    """

    probabilities: tuple[float, ...]
    request_tokens: tuple[float, ...]
    response_given_request: tuple[ResponseBin, ...]
    candidates: tuple[Candidate, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthBin:
    """By how much a request grows to the session's next if it has up to ``request_up_to`` tokens."""

    request_up_to: int
    growth_tokens: Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Conversations of several turns, for arrivals of kind "sessions".

    Attributes:
        turns: P(1 turn), P(2 turns), ...; what is missing to 1 lies in the tail.
        tail_ratio: each further number of turns is this much less likely than the one before, up to ``turns_max``.
        think_time_s: from one submission to the next one of the session.
        growth_tokens: by how much the request grows from turn to turn (may be negative).
        growth_given_request: the same by the length it grows from, where that is known: long requests grow less. The
            last bin also takes longer requests; () for growth that does not depend on it.
        first_request_tokens: length of a session's first request.
    """

    turns: tuple[float, ...]
    turns_max: int
    think_time_s: Quantiles | LogNormal
    growth_tokens: Quantiles
    first_request_tokens: Quantiles
    growth_given_request: tuple[GrowthBin, ...] = ()
    tail_ratio: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBin:
    """Share of failed requests while the class's rate in a minute is up to ``rate_up_to_per_s``."""

    rate_up_to_per_s: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Share of requests that failed; by load where that is known (the last bin also takes higher rates)."""

    ratio: float
    by_load: tuple[LoadBin, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClass:
    """Requests of one kind: one service, model and log type ("" where there is none). ``share``: of all requests."""

    name: str
    share: float
    arrivals: Arrivals
    lengths: Lengths
    service: str = ""
    model: str = ""
    log_type: str = ""
    bursts: Bursts | None = None
    sessions: Sessions | None = None
    failures: Failures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a whole model comes from; what is not known is "" or None."""

    file: str = ""
    sha256: str = ""
    rows: int | None = None
    span_s: float | None = None
    citation: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A workload: its classes (one at least), whose shares sum to 1."""

    name: str
    classes: tuple[ModelClass, ...]
    description: str = ""
    source: Source = Source()

    @property
    def rate_per_s(self) -> float:
        """Mean requests a second of all classes together."""
        return sum(one.arrivals.rate_per_s for one in self.classes)


def shares_of(classes: Sequence[ModelClass]) -> tuple[float, ...]:
    """Return each class's part of the requests by its rate; equal parts if nothing comes at all."""
    total = sum(one.arrivals.rate_per_s for one in classes)
    return tuple(one.arrivals.rate_per_s / total if total else 1 / len(classes) for one in classes)
