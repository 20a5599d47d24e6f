"""Counters, gauges and histograms as exposition text, in Prometheus's format and in OpenMetrics. Pure.

prometheus_client takes 10 us per series, and a scrape stops everything else in the worker meanwhile; here it is one
formatting operation per line. A test reads what is written here with prometheus_client's parsers.
"""

from collections.abc import Iterable, Iterator, Mapping

from streams.export.catalogue import Metric, MetricType
from streams.processors.histograms import Distribution

Value = float | Distribution
Values = Mapping[tuple[str, ...], Value]  # label values in the metric's order -> value


def exposition(families: Iterable[tuple[Metric, Values]], *, openmetrics: bool) -> bytes:
    """Return the text of ``families``, without an end mark (which OpenMetrics wants once, after the last)."""
    escaped = _Escaped()
    lines: list[str] = []
    for metric, values in families:
        lines += _head(metric, openmetrics=openmetrics)
        lines += _lines(metric, values, escaped)
    return "".join(lines).encode()


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    # OpenMetrics names the family of a counter without its suffix.
    counter = metric.type is MetricType.COUNTER
    name = metric.name.removesuffix("_total") if openmetrics and counter else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {text.replace(chr(34), chr(92) + chr(34)) if openmetrics else text}\n"
    yield f"# TYPE {name} {metric.type.value}\n"


def _lines(metric: Metric, values: Values, escaped: "_Escaped") -> Iterator[str]:
    order = sorted(range(len(metric.labels)), key=lambda i: metric.labels[i])
    inside = ",".join(f'{metric.labels[i]}="%s"' for i in order)
    line = f"{metric.name}{{{inside}}} %r\n" if inside else f"{metric.name} %r\n"
    for labels, value in values.items():
        texts = tuple(escaped[labels[i]] for i in order)
        if isinstance(value, Distribution):
            yield from _histogram(inside % texts, metric.name, value)
        else:
            yield line % (*texts, float(value))


def _histogram(labels: str, name: str, value: Distribution) -> Iterator[str]:
    """Write a distribution below ``labels`` (escaped): a line per bound, its count and its sum."""
    for bound, count in zip(value.bounds, value.counts, strict=True):
        yield f'{name}_bucket{{le="{bound!r}",{labels}}} {float(count)!r}\n'
    yield f'{name}_bucket{{le="+Inf",{labels}}} {float(value.count)!r}\n'
    yield f"{name}_count{{{labels}}} {float(value.count)!r}\n"
    yield f"{name}_sum{{{labels}}} {value.sum!r}\n"


class _Escaped(dict[str, str]):
    """Label values as they are written between quotes; each is worked out once per page."""

    def __missing__(self, text: str) -> str:
        self[text] = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        return self[text]
