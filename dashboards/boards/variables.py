"""What can be chosen at the top of a board."""

from collections.abc import Sequence

from dashboards.boards.queries import DATASOURCE, Json

WINDOWS = ("10s", "1m", "5m", "20m", "1h")


def datasource() -> Json:
    """Return the choice of a Prometheus, so that no board names one."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "default", "value": "default"},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }


def service() -> Json:
    """Return the choice of services; all of them by default."""
    return _labels("service", "Service", "label_values(burstwatch_arrivals_total, service)")


def model() -> Json:
    """Return the choice of models the chosen services were asked for."""
    return _labels("model", "Model", 'label_values(burstwatch_arrivals_total{service=~"$service"}, model)')


def node() -> Json:
    """Return the choice of serving nodes: with engines, or with devices only, which have no service."""
    metrics = "burstwatch_kv_cache_usage_ratio|burstwatch_gpu_memory_bytes"
    return _labels("node", "Node", f'label_values({{__name__=~"{metrics}"}}, node)')


def window() -> Json:
    """Return the choice of the window that gauges are of. Others can be typed, for workers with other --windows."""
    return _choices("window", "Window", WINDOWS, "5m")


def _labels(name: str, text: str, query: str) -> Json:
    """All is ``.*``, not the values of the moment: a service that comes later is then shown too."""
    return {
        "name": name,
        "label": text,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "variable", "qryType": 1},
        "current": {"text": ["All"], "value": ["$__all"]},
        "allValue": ".*",
        "includeAll": True,
        "multi": True,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _choices(name: str, text: str, values: Sequence[str], chosen: str) -> Json:
    return {
        "name": name,
        "label": text,
        "type": "custom",
        "query": ",".join(values),
        "current": {"text": chosen, "value": chosen},
        "options": [{"text": value, "value": value, "selected": value == chosen} for value in values],
        "allowCustomValue": True,
        "includeAll": False,
        "multi": False,
        "hide": 0,
    }
