"""Series recorded for boards and alerts, so that both show the same number. ``level:metric:operation``.

Workers hand services over to each other, and a new worker is a new ``instance``: every recording adds up, or takes
the greatest, over instances.
"""

from dashboards.rules.model import Recording

_TOTAL = 'model="all", log_type="all"'
_LONG = f'{{{_TOTAL}, window="20m"}}'


def _service(metric: str, operation: str, expr: str) -> Recording:
    return Recording(record=f"service:burstwatch_{metric}:{operation}", expr=expr)


def _rate(counter: str, window: str) -> str:
    return f"sum by (service) (rate(burstwatch_{counter}[{window}]))"


def _failure_ratio(window: str) -> str:
    """Return failed over ended requests: 0 where nothing ever failed, absent where nothing ended."""
    ended = _rate("completions_total", window)
    return f"({_rate('failures_total', window)} or {ended} * 0) / ({ended} > 0)"


def burn(window: str) -> Recording:
    """Return the burn rate over ``window``, from counters: the worker's own windows end at an hour."""
    budget = "max by (service) (burstwatch_failure_budget_ratio)"
    return _service("failure_burn", f"rate{window}", f"{_failure_ratio(window)} / {budget}")


def failures_in(window: str) -> Recording:
    """Return how many requests failed in ``window``: the guard of its burn rate."""
    return _service(
        "failures", f"increase{window}", f"sum by (service) (increase(burstwatch_failures_total[{window}]))"
    )


TRAFFIC = (
    _service("arrivals", "rate1m", _rate("arrivals_total", "1m")),
    _service("interarrival_cv", "window20m", f"max by (service) (burstwatch_interarrival_cv{_LONG})"),
    _service("gamma_shape_upper", "window20m", f"max by (service) (burstwatch_gamma_shape_upper{_LONG})"),
)

MEMORY = (
    _service("kv_cache_usage_ratio", "max", "max by (service) (burstwatch_kv_cache_usage_ratio)"),
    Recording(
        record="engine:burstwatch_kv_cache_usage_ratio:avg1m",
        expr="max by (service, node, engine) (avg_over_time(burstwatch_kv_cache_usage_ratio[1m]))",
    ),
    Recording(
        record="gpu:burstwatch_gpu_memory_used:ratio",
        expr=(
            'max by (node, gpu, mig) (burstwatch_gpu_memory_bytes{state="used"})'
            ' / max by (node, gpu, mig) (burstwatch_gpu_memory_bytes{state="total"})'
        ),
    ),
)

BURNS = (*(burn(window) for window in ("5m", "30m", "1h")), failures_in("1h"))
# Days of samples: once a minute is often enough, and a quarter of the work.
SLOW_BURNS = (*(burn(window) for window in ("6h", "3d")), failures_in("6h"), failures_in("3d"))

PIPELINE = (
    Recording(
        record="topic:burstwatch_source_lag_messages:sum",
        expr="sum by (topic) (max by (topic, partition) (burstwatch_source_lag_messages))",
    ),
    Recording(
        record="instance:burstwatch_capture_lag_messages:sum",
        expr="sum by (job, instance) (burstwatch_capture_lag_messages)",
    ),
)
