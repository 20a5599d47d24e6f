"""What the analysis says: window rows with their messages (topic llm.windows), and bursts (see also episodes.py).

A message of llm.windows is one ``WindowRow``: its fields under their names, "windows" by length in seconds, and "v"
and "id"; delivery is at least once, one id is one row. "memory" is null but in the row of a service's total.

Times are integer microseconds of event time; rates are per second; None means not enough data, never 0 or NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

ALL = "all"
MESSAGE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStats:
    """The numbers of one class in one window [end - W, end).

    Attributes:
        arrivals: requests submitted in the window; ``rate`` is that over ``covered_s``.
        covered_s: how much of W the service has been known: from the 10 s in which its first event ever lies.
            What was before is not silence; all bins and rates are of this part.
        gaps: inter-arrival gaps with both ends in the window, on the ordered path.
        cv: coefficient of variation of the gaps, corrected for finite size; of stamps cut to whole seconds, above
            one event in two seconds, 1/sqrt(gamma_shape).
        gamma_shape: shape alpha of the Gamma fitted to the gaps, with its 95 % bounds where an honest interval
            exists; ``gamma_rate`` (1/s) is alpha over the mean gap.
        gamma_method: how: "ye_chen" (likelihood, bias corrected); "moment" where over 1 % of the gaps are zero; of
            stamps cut to whole seconds "triangular" (their likelihood; windows of 300 s and more), "moment", or
            "dispersion" (from the counts), see ``stats/gamma_fit.py``.
        burstiness: B of Goh and Barabasi from ``cv``: -1 for a clock, 0 for Poisson, towards 1 for bursts.
        memory: M, correlation of neighbouring gaps: about 0 if each is drawn afresh, above 0 for bursty episodes.
        misfit: ln(shape by moments / shape by likelihood), about 0 for Gamma gaps; only with "ye_chen".
        dispersion_100ms: index of dispersion of counts in 0.1-s bins (1 for Poisson), of the total only; ``_1s``
            and ``_10s`` in longer ones; ``dispersion_1s_lower`` and ``_upper``: its 95 % bounds, total only, and
            only where neighbouring seconds are independent.
        allan_100ms: Allan factor of the same counts (1 for Poisson, drift or not), total only; ``_1s``, ``_10s``.
        peak_to_mean: greatest count of a second over the mean one; ``peak_z`` how surprising it is in Poisson
            traffic, as a standard normal deviate (total only).
        completions: requests that ended in the window (by ``ended_at``, else ``submitted_at``).
        failures: completions with outcome ``failed``; a cancelled request is a completion, not a failure.
        failures_by_reason: the same by reason; reasons that did not occur are left out.
        failure_ratio: failures over completions, with Wilson's 95 % bounds, and Jeffreys' where those are weak:
            below 100 completions.
        concurrency: requests in flight on average, by Little's law from the completions.
        request_tokens: tokens of the completions; ``response_tokens`` likewise.
        percentiles: by measure ("request_tokens", "response_tokens", "time_to_first_token_s", "request_duration_s",
            "time_per_output_token_s") the "p50", "p90", "p95" and "p99", within 1.1 %; None where a window has too
            few values for a level. Measures without values are left out; windows longer than
            ``percentile_window_s_max`` have none.
    """

    arrivals: int
    covered_s: int
    rate: float
    gaps: int
    cv: float | None
    gamma_shape: float | None
    gamma_shape_lower: float | None
    gamma_shape_upper: float | None
    gamma_rate: float | None
    gamma_method: str | None
    burstiness: float | None
    memory: float | None
    misfit: float | None
    dispersion_100ms: float | None
    dispersion_1s: float | None
    dispersion_1s_lower: float | None
    dispersion_1s_upper: float | None
    dispersion_10s: float | None
    allan_100ms: float | None
    allan_1s: float | None
    allan_10s: float | None
    peak_to_mean: float | None
    peak_z: float | None
    completions: int
    failures: int
    failures_by_reason: Mapping[str, int]
    failure_ratio: float | None
    failure_ratio_lower: float | None
    failure_ratio_upper: float | None
    failure_ratio_jeffreys_lower: float | None
    failure_ratio_jeffreys_upper: float | None
    concurrency: float | None
    request_tokens: int
    response_tokens: int
    percentiles: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """One engine by its latest reading; None where it does not say.

    Attributes:
        node: the serving node; ``engine`` the engine process on it ("" if it has no name).
        kv_cache_usage_ratio: part of the KV cache in use, 0 to 1.
        running: requests being worked on; ``waiting`` those in its queue.
        kv_exhaustion_lower_s: seconds until the cache is full, lower 95 % bound, counted from that reading;
            ``kv_exhaustion_estimate_s`` the estimate. Both None unless usage clearly grows.
    """

    node: str
    engine: str
    kv_cache_usage_ratio: float | None
    running: int | None
    waiting: int | None
    kv_exhaustion_lower_s: float | None
    kv_exhaustion_estimate_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMemory:
    """How full the engines of a service are at a boundary (service_memory.py says what one sees).

    Attributes:
        kv_usage_peak: greatest KV usage (0 to 1) any engine told in the 10 s up to ``end``; None if none did.
        waiting_peak: longest queue any engine told then; ``preemptions``: requests preempted, over all engines.
        engines: those heard in the last 30 s of event time, as of ``end`` + hold; fullest first, 50 at most.
    """

    kv_usage_peak: float | None
    waiting_peak: int | None
    preemptions: int | None
    engines: Sequence[EngineMemory]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One class of one service at one 10-s boundary: every window that ends there.

    ``model`` and ``log_type`` are both "all" for the service's total, both "other" for what is beyond the
    class budget; a request without a model has model "unknown". ``memory`` is of the total only; None where no engine
    was heard in the last 30 s of event time.
    """

    service: str
    model: str
    log_type: str
    end: int
    windows: Mapping[int, WindowStats]
    memory: ServiceMemory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A burst of a service, told twice: at its ``onset`` (values so far, no end) and at its ``end``.

    Attributes:
        onset: start of the second in which the counts rose.
        detected: end of the second in which the score crossed the threshold.
        end: end of the last second whose score was still raised; None while the burst lasts.
        baseline_rate: arrivals per second expected when it was detected.
        peak_rate: greatest rate over 10 s so far; ``peak_z`` the greatest score.
        arrivals: arrivals from onset to end (so far).
        excess: how many of them are more than the baseline would have brought.
        window_s: length of the window whose score was greatest when it was detected.
    """

    service: str
    state: str
    onset: int
    detected: int
    end: int | None
    baseline_rate: float
    peak_rate: float
    peak_z: float
    arrivals: int
    excess: float
    window_s: int


_STATS = tuple(field.name for field in fields(WindowStats))
_MEMORY = tuple(field.name for field in fields(ServiceMemory))
_ENGINE = tuple(field.name for field in fields(EngineMemory))


def window_message(row: WindowRow) -> dict[str, Any]:
    """Return ``row`` as the JSON object of topic llm.windows (plain types)."""
    return {
        "v": MESSAGE_VERSION,
        "id": f"{row.service}|{row.model}|{row.log_type}|{row.end}",
        "service": row.service,
        "model": row.model,
        "log_type": row.log_type,
        "end": row.end,
        "windows": {
            # dataclasses.asdict copies deeply: ten times slower, and this runs for every row.
            str(window_s): {name: getattr(stats, name) for name in _STATS}
            for window_s, stats in row.windows.items()
        },
        "memory": None if row.memory is None else _memory(row.memory),
    }


def _memory(memory: ServiceMemory) -> dict[str, Any]:
    engines = [{name: getattr(engine, name) for name in _ENGINE} for engine in memory.engines]
    return {name: getattr(memory, name) for name in _MEMORY} | {"engines": engines}
