"""Samples as the page Prometheus reads. The only use of prometheus_client on the stream side."""

from collections.abc import Callable, Iterable

from prometheus_client.exposition import choose_encoder

from streams.export.catalogue import CATALOGUE
from streams.export.exposition import exposition
from streams.export.samples import Sample
from streams.processors.histograms import Distribution

Read = Callable[[], Iterable[Sample]]


class Page:
    """The exposition of what ``read`` returns at that moment; between two scrapes it costs nothing."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, OpenMetrics or text by the ``Accept`` header.

        Families come in the catalogue's order. Raises ``KeyError`` for a sample that is not declared. Of two
        samples with the same labels the last one counts: a page with both would be refused as a whole.
        """
        _, content_type = choose_encoder(accept)
        found: dict[str, dict[tuple[str, ...], float | Distribution]] = {}
        for sample in self._read():
            CATALOGUE[sample.name]
            found.setdefault(sample.name, {})[sample.labels] = sample.value
        openmetrics = content_type.startswith("application/openmetrics-text")
        families = ((metric, found[name]) for name, metric in CATALOGUE.items() if name in found)
        return exposition(families, openmetrics=openmetrics) + (b"# EOF\n" if openmetrics else b""), content_type
