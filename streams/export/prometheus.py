"""Samples as the page Prometheus reads. The only use of prometheus_client on the stream side."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from streams.export.catalogue import CATALOGUE, Metric, MetricType
from streams.export.samples import Sample

Read = Callable[[], Iterable[Sample]]


class CatalogueCollector(Collector):
    """Reads the states when Prometheus asks; between two scrapes it costs nothing."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        """Return the families that have samples, in the catalogue's order.

        Raises ``KeyError`` for a sample that is not declared. Of two samples with the same labels the last
        one counts: a page with both would be refused as a whole.
        """
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for sample in self._read():
            CATALOGUE[sample.name]
            found.setdefault(sample.name, {})[sample.labels] = sample.value
        for name, metric in CATALOGUE.items():
            if name in found:
                family = _family(metric)
                for labels, value in found[name].items():
                    family.add_metric(labels, value)
                yield family


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    if metric.type is MetricType.COUNTER:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


class Page:
    """The exposition of what ``read`` returns at that moment."""

    def __init__(self, read: Read) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(CatalogueCollector(read))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, OpenMetrics or text by the ``Accept`` header."""
        encode, content_type = choose_encoder(accept)
        body: bytes = encode(self._registry)
        return body, content_type
