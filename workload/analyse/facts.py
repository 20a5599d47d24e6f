"""What an analysis of a trace says, section by section (arrival_facts.py has the arrivals' part).

Times are seconds; what cannot be known is None (NaN in arrays). ``plain.plain`` turns it into what JSON can hold.
"""

from dataclasses import dataclass

from workload.analyse.arrival_facts import Burstiness, Dispersion
from workload.analyse.plain import Columns, Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is in the trace.

    Attributes:
        rows: requests; ``span_s`` first to last submission; ``first_s``, ``last_s`` since the origin (epoch if
            ``absolute``).
        whole_seconds: all stamps are whole seconds, so gaps below one are lost.
        steps_back: rows that stood before their time in the file (each earlier than the row above it), by
            ``step_back_max_s`` seconds at most; the rest of the analysis has them in order of time.
        same_time_ratio: share of requests submitted at the stamp of the one before.
        models, log_types, services, outcomes, reasons: requests by value, most frequent first.
        sessions: distinct sessions; ``known`` the share of rows that tell a column's value, by column.
        origin: what the day's and the week's beginning were taken from, in words.
    """

    rows: int
    span_s: float
    first_s: float | None
    last_s: float | None
    absolute: bool
    whole_seconds: bool
    steps_back: int
    step_back_max_s: float
    same_time_ratio: float | None
    models: dict[str, int]
    log_types: dict[str, int]
    services: dict[str, int]
    outcomes: dict[str, int]
    reasons: dict[str, int]
    sessions: int
    known: dict[str, float]
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFacts:
    """Requests over time.

    Attributes:
        n: requests; ``mean_per_s`` the gaps over the span, as everywhere (None without a span).
        peak_minute_per_s: the rate in the busiest minute; ``peak_hour_per_s`` in the busiest hour.
        series: ``start_s`` (since the first request's bin), ``per_s``: at most 2,000 bins of ``series_step_s``.
        hour_of_day: 24 rates per second, over the covered part of each hour, None where the trace has none of it; the
            first 24 hours of local time; ``hour_of_day_median`` the median over days of the hours' rates.
        weekday: 7 rates per second, Monday first; None where the weekday is not known or not covered.
        hour_of_week: 168 of them, Monday 00:00 first.
        peak_hour, trough_hour: of ``hour_of_day``; ``peak_over_trough``, ``peak_over_mean``: their rates' ratios. None
            unless the trace covers nearly all of each of the day's 24 hours.
        day_autocorrelation, week_autocorrelation: of the hourly counts at lags of 24 and 168 h, None below two such
            periods; ``autocorrelation``: ``lag_h`` and ``value`` up to 8 days (a third of the span at most).
    """

    n: int
    mean_per_s: float | None
    peak_minute_per_s: float | None
    peak_hour_per_s: float | None
    series_step_s: float
    series: Columns
    hour_of_day: list[float | None]
    hour_of_day_median: list[float | None]
    weekday: list[float | None]
    hour_of_week: list[float | None]
    peak_hour: int | None
    trough_hour: int | None
    peak_over_trough: float | None
    peak_over_mean: float | None
    day_autocorrelation: float | None
    week_autocorrelation: float | None
    autocorrelation: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Zipf:
    """A Zipf law P(k) proportional to k^-theta, k = 1..k_max (the greatest length seen), by maximum likelihood."""

    theta: float
    k_max: int
    ks: float
    log_likelihood: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """A log-normal law by maximum likelihood: of ln x, mean ``mu`` and standard deviation ``sigma``; KS distance."""

    mu: float
    sigma: float
    ks: float
    log_likelihood: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column of numbers: n, mean, sd, cv, min, max and quantiles (p1 ... p99.9), of the values that are known.

    Attributes:
        histogram: ``edges`` (one more than ``counts``), logarithmic, for plots; counts add up to n.
        lognormal: of the values above zero; zipf: where asked for (lengths). None for fewer than two different values.
    """

    n: int
    zeros: int
    mean: float | None
    sd: float | None
    cv: float | None
    min: float | None
    max: float | None
    quantiles: Quantiles
    histogram: Columns
    zipf: Zipf | None
    lognormal: LogNormal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of requests that did not fail, as their lengths are drawn from; those of failed ones for themselves."""

    request: Numbers
    response: Numbers
    failed_request: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Response length given request length, of requests that did not fail and whose lengths are above zero.

    Attributes:
        bins: columns ``from_tokens`` (inclusive), ``to_tokens`` (exclusive), ``n``, ``request_mean``, ``median``,
            ``mean``, ``q05``, ``q95`` of the response; bins of fewer than 5 requests are left out.
        pearson, spearman: correlation of the lengths; None for fewer than three requests or where one is constant.
    """

    n: int
    bins: Columns
    pearson: float | None
    spearman: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Sessions and their turns, of requests that name a session.

    Attributes:
        requests, sessions: how many; ``turns`` their number per session (Numbers); ``turns_pmf`` P(1), P(2), ... up to
            the 20th; ``single_ratio`` sessions of one turn; ``later_turn_ratio`` requests that are turn 2 or later.
        gap_s: submission to submission within a session; ``think_s`` the complete response before to submission, where
            the elapsed time is known (overlapping turns, below zero, are counted in ``overlapping`` and left out).
        duration_s: first to last submission of sessions of two turns or more.
        first_request, later_request: request tokens of first and of later turns.
        growth_tokens: request tokens of a turn less those of the turn before: quantiles and "mean"; ``shrinks_ratio``
            the share below zero.
        first_answered: the trace may begin and end amid sessions; nothing is corrected for that.
    """

    requests: int
    sessions: int
    turns: Numbers
    turns_pmf: list[float]
    single_ratio: float | None
    later_turn_ratio: float | None
    gap_s: Numbers
    think_s: Numbers
    overlapping: int
    duration_s: Numbers
    first_request: Numbers
    later_request: Numbers
    growth_tokens: Quantiles
    shrinks_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failed requests over all requests but cancelled ones; every ratio with Wilson's 95 % bounds.

    Column groups have ``n``, ``failed``, ``ratio``, ``lower``, ``upper``, and:
        over_time: ``start_s`` (bins of ``step_s``);
        by_load: ``from_per_s``, ``to_per_s``: windows' request rates, in tenths of the windows;
        by_burstiness: ``from_cv``, ``to_cv``: windows' CVs, likewise;
        by_model, by_log_type, by_service: ``name``; by_reason: ``name``, ``failed``, ``share``.

    Attributes:
        rate_correlation, cv_correlation: Spearman's, over windows of at least 30 requests, of the failed ratio with the
            rate and with the CV; None for fewer than 10 such windows, or no failure.
    """

    n: int
    failed: int
    cancelled: int
    ratio: float | None
    lower: float | None
    upper: float | None
    step_s: float
    over_time: Columns
    by_load: Columns
    by_burstiness: Columns
    by_model: Columns
    by_log_type: Columns
    by_service: Columns
    by_reason: Columns
    rate_correlation: float | None
    cv_correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of requests that did not fail: submission to complete response, to the first token, and the rest per token."""

    elapsed_s: Numbers
    first_token_s: Numbers
    per_output_token_s: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAnalysis:
    """One class of requests: all of a log type (``model`` is None), or of a model within it."""

    name: str
    model: str | None
    log_type: str | None
    n: int
    rate: RateFacts
    burstiness: Burstiness
    dispersion: Dispersion
    lengths: Lengths
    relation: Relation
    latency: Latency
    failed: int
    failed_ratio: float | None
    failed_lower: float | None
    failed_upper: float | None
