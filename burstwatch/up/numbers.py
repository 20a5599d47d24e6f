"""The worker's /metrics page as the few numbers a person watches. The only metrics parser of the front door."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNumbers:
    """One service, now. None where there is not enough data yet."""

    rate_10s: float | None = None
    rate_1m: float | None = None
    cv_1m: float | None = None
    gamma_shape_1m: float | None = None
    failure_ratio_1m: float | None = None
    burst_active: bool = False
    burst_z: float | None = None
    bursts: int = 0
    arrivals: int = 0
    completions: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Everything the terminal summary shows."""

    services: dict[str, ServiceNumbers] = field(default_factory=dict)
    kv_cache_usage_ratio: float | None = None
    running: int | None = None
    waiting: int | None = None
    preemptions: int | None = None
    messages: int = 0
    dead_letters: int = 0
    missing: int = 0
    late: int = 0
    dropped: int = 0
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)


class Page:
    """A parsed exposition: sums or looks up samples by name and labels."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of all samples of ``name`` that carry ``labels``."""
        return [value for have, value in self._samples.get(name, []) if labels.items() <= have.items()]

    def total(self, name: str, **labels: str) -> int:
        """Return their sum, 0 if there are none."""
        return int(sum(self.values(name, **labels)))

    def one(self, name: str, **labels: str) -> float | None:
        """Return the only value, or None if there is none."""
        found = self.values(name, **labels)
        return found[0] if found else None

    def label_values(self, name: str, label: str) -> list[str]:
        """Return the distinct values of ``label`` on ``name``, sorted."""
        return sorted({have[label] for have, _ in self._samples.get(name, []) if label in have})

    def offsets(self, name: str) -> dict[tuple[str, int], int]:
        """Return ``(topic, partition) -> value`` of a per-partition gauge."""
        return {(have["topic"], int(have["partition"])): int(v) for have, v in self._samples.get(name, [])}


def read_numbers(text: str) -> Numbers:
    """Return the numbers on a worker's /metrics page. Raises ``ValueError`` if it is not an exposition."""
    page = Page(text)
    services = page.label_values("burstwatch_arrivals_total", "service")
    return Numbers(
        services={name: _service(page, name) for name in services},
        kv_cache_usage_ratio=_max(page.values("burstwatch_kv_cache_usage_ratio")),
        running=_sum(page.values("burstwatch_engine_requests_running")),
        waiting=_sum(page.values("burstwatch_engine_requests_waiting")),
        preemptions=_sum(page.values("burstwatch_engine_preemptions_total")),
        messages=page.total("burstwatch_messages_total"),
        dead_letters=page.total("burstwatch_dead_letters_total"),
        missing=page.total("burstwatch_missing_messages"),
        late=page.total("burstwatch_late_events_total"),
        dropped=page.total("burstwatch_agent_dropped_events"),
        offsets=page.offsets("burstwatch_source_offset"),
    )


def _service(page: Page, name: str) -> ServiceNumbers:
    whole = {"service": name, "model": "all", "log_type": "all", "window": "1m"}
    return ServiceNumbers(
        rate_10s=page.one("burstwatch_burst_rate", service=name),
        rate_1m=page.one("burstwatch_request_rate", **whole),
        cv_1m=page.one("burstwatch_interarrival_cv", **whole),
        gamma_shape_1m=page.one("burstwatch_gamma_shape", **whole),
        failure_ratio_1m=page.one("burstwatch_failure_ratio", **whole),
        burst_active=bool(page.one("burstwatch_burst_active", service=name)),
        burst_z=page.one("burstwatch_burst_z", service=name),
        bursts=page.total("burstwatch_burst_episodes_total", service=name),
        arrivals=page.total("burstwatch_arrivals_total", service=name),
        completions=page.total("burstwatch_completions_total", service=name),
        failures=page.total("burstwatch_completions_total", service=name, outcome="failed"),
    )


def _max(values: Iterable[float]) -> float | None:
    return max(values, default=None)


def _sum(values: list[float]) -> int | None:
    return int(sum(values)) if values else None
