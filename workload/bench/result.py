"""What a benchmark found, as the JSON of ``burstwatch workload bench --json`` and the input of its reports.

What is not known is None (or an empty list), never 0. Seconds, tokens, requests, ratios 0 to 1.
"""

from typing import TypedDict

FORMAT = "burstwatch-bench"
VERSION = 1


class Quantiles(TypedDict):
    """Of the requests that ended well; None if there were none."""

    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Series(TypedDict):
    """One run in time (the first, where a run is repeated), on one axis: lists of one length.

    ``kv`` 0 to 1, ``running`` and ``waiting`` are what the engine said at ``t_s``; ``preemptions`` and ``rate``
    (requests a second) are of the interval that ends there.
    """

    t_s: list[float]
    kv: list[float | None]
    running: list[float | None]
    waiting: list[float | None]
    preemptions: list[float | None]
    rate: list[float]


class EngineState(TypedDict):
    """What the engine said of itself during a run; None where it did not.

    ``kv_time_full_ratio``: share of the time with 97 % of the cache or more in use (``figures.KV_FULL_FROM``).
    ``preemptions``: in a run (the mean of the repeats). Peaks are of all repeats.
    """

    kv_usage_mean: float | None
    kv_usage_p99: float | None
    kv_usage_peak: float | None
    kv_time_full_ratio: float | None
    preemptions: float | None
    waiting_peak: float | None
    running_peak: float | None


class Run(EngineState):
    """One point of the sweep: a burstiness at a rate, all repeats taken together.

    ``cv_target`` and ``rate_target_per_s`` are what was asked, ``cv`` and ``rate_per_s`` what was sent.
    ``slo_ok_low/high`` and ``failed_low/high`` hold 95 %: Wilson's interval, or the one between repeats where it is
    wider (requests of one burst share their fate, so Wilson's alone is too narrow).
    ``tpot_s``: seconds per token after the first, of each answer; ``stall_s``: its longest pause between two tokens
    (two chunks over HTTP). ``itl_s`` is the mean pause, the same as ``tpot_s`` where every chunk is one token.
    ``throughput...``: tokens and answers that came while requests were sent, over that time; ``goodput_per_s``: those
    of these answers that met the objective. ``late_p99_s``: how late requests left (0 in virtual time). Times run
    from when a request was due.
    ``interrupted``: ended early; requests that were open then do not count, which makes it look better than it is.
    ``idle_before``: the server had no request left when the run began; None if it did not say.
    """

    cv_target: float
    cv: float | None
    rate_target_per_s: float
    rate_per_s: float | None
    duration_s: float
    repeats: int
    requests: int
    ok: int
    failed: int
    cancelled: int
    slo_ok_ratio: float | None
    slo_ok_low: float | None
    slo_ok_high: float | None
    failed_ratio: float | None
    failed_low: float | None
    failed_high: float | None
    failures: dict[str, int]
    ttft_s: Quantiles
    latency_s: Quantiles
    tpot_s: Quantiles
    itl_s: Quantiles
    stall_s: Quantiles
    throughput_tokens_per_s: float | None
    throughput_per_s: float | None
    goodput_per_s: float | None
    late_p99_s: float | None
    idle_before: bool | None
    interrupted: bool
    series: Series


class Objective(TypedDict):
    """What counts as served well, and how many must be. None: not asked of a request."""

    ttft_s: float | None
    tpot_s: float | None
    latency_s: float | None
    share: float
    failed_ratio_max: float


class RateHeadroom(TypedDict):
    """Rate headroom (more is better): the highest rate that holds at a burstiness.

    It lies between ``low_per_s`` (held; None: no rate tried did) and ``high_per_s`` (did not; None: all did).
    ``of_rate``: ``low_per_s`` over the rate asked for. The burstiness is the same at every rate: a lower one spreads
    the bursts further apart, but they are as large.
    """

    cv: float
    rate_per_s: float
    low_per_s: float | None
    high_per_s: float | None
    of_rate: float | None


class ServerHeadroom(TypedDict):
    """How many servers like this one hold the objective, the requests shared out among them by chance.

    Each then sees a thinner and calmer stream (a random 1/k of a stream of squared CV c has 1 + (c - 1)/k), unlike a
    lower rate of the same burstiness, whose bursts come seldom but are as large. 1: it needs no other; None: not even
    64 do. Searched in virtual time only.
    """

    cv: float
    rate_per_s: float
    servers: int | None


class KvHeadroom(TypedDict):
    """KV need (less is better): how much KV memory holds the objective at a rate and burstiness.

    ``how``: "searched" (run again with other cache sizes), "estimated" (see ``workload/bench/kv_demand.py``).
    ``factor``: memory needed over memory there is, below 1 if some is spare; None: unknown, or no amount is enough
    (then ``best_ratio`` says how many requests meet the objective with as good as boundless memory).
    """

    cv: float
    rate_per_s: float
    how: str
    factor: float | None
    blocks: float | None
    tokens: float | None
    best_ratio: float | None


class RateVerdict(TypedDict):
    """At one rate: the smallest CV tried that misses the objective, and the smallest that surely (95 %) does."""

    rate_per_s: float
    fails_from_cv: float | None
    surely_fails_from_cv: float | None
    holds_to_cv: float | None


class Verdict(TypedDict):
    """``fails_from_cv`` and its kin are of the lowest rate asked for; ``rates`` has all of them."""

    fails_from_cv: float | None
    surely_fails_from_cv: float | None
    rates: list[RateVerdict]
    rate_headroom: list[RateHeadroom]
    server_headroom: list[ServerHeadroom]
    kv_headroom: list[KvHeadroom]
    sentences: list[str]


class Server(TypedDict):
    """Who was measured. ``engine``: which names its /metrics used ("vllm", ...), "simulated" in virtual time."""

    url: str | None
    metrics_url: str | None
    simulated: bool
    engine: str | None
    models: list[str]
    kv_blocks: float | None
    block_tokens: float | None
    kv_tokens: float | None
    settings: dict[str, float | None]


class Workload(TypedDict):
    """What was sent: the same lengths in every run of a rate."""

    name: str
    seed: int
    request_tokens_mean: float | None
    response_tokens_mean: float | None


class Result(TypedDict):
    """A whole benchmark. ``complete`` False: ended early, what is there was measured."""

    format: str
    version: int
    complete: bool
    elapsed_s: float
    server: Server
    workload: Workload
    slo: Objective
    runs: list[Run]
    verdict: Verdict
    assumptions: list[str]
