"""METRICS.md from the catalogue. Pure: `burstwatch dashboards generate` writes the file."""

from streams.export.catalogue import GROUPS, LABELS, Metric

HEAD = """# Metrics

Generated from `streams/export/catalogue.py` by `burstwatch dashboards generate`; do not edit.

`burstwatch worker` serves all groups but Capture at `/metrics`; `burstwatch capture --metrics-port PORT` serves that
one. Both answer `/healthz`. Not enough data means that a series is absent: never NaN, never a 0 that was not measured.
Windows end at the last complete 10 s of event time. A service's counters are exact over any crash and never go
backwards: they show the state as of the last snapshot that is safe in Kafka. Counters of a process (messages, dead
letters, snapshots, all of Capture) start at 0 with it.

A service's total (`model="all"`) has every gauge of every window, a class the essential ones (rate, CV, shape,
failure ratio with its bounds, requests in flight) of 1m and 20m: up to 27 series per window of a service and 14 per
class. Percentiles of tokens and latencies are up to 20 series more per window up to `--percentile-window-s-max`; a
class has those of the longest such window only. `--series-max` bounds windows and histograms: above it the services
with the fewest arrivals in the longest window show no window gauges, and `burstwatch_services_withheld` says how many.
Counters and the gauges of bursts, failures, memory and agents are always shown. Rows in topic llm.windows are always
complete. Histograms are per service, up to 67 series each, and
shown while all of them take no more than half of `--series-max`; from them PromQL works out any window.

Absent until: 30 gaps in the window (CV, Gamma shape, memory, misfit); 30 bins in the window (dispersion, Allan factor:
a minute for 1-s bins, 5 min for 10-s bins); neighbouring seconds that do not resemble each other (bounds of the
dispersion); an engine's KV cache that is growing (`kv_exhaustion_seconds`: seconds at a time, so alert on
`pressure_active` or topic llm.episodes instead); a window with a dispersion and a capacity, measured or given
(`replicas_wanted`); one request in the upper tail, such as 100 for the 99th percentile.
"""


def metrics_markdown() -> str:
    """Return the text of METRICS.md."""
    parts = [HEAD]
    for title, metrics in GROUPS.items():
        rows = "\n".join(_row(metric) for metric in metrics)
        parts.append(f"## {title}\n\n| metric | type | labels | unit | meaning |\n|---|---|---|---|---|\n{rows}\n")
    labels = "\n".join(f"| `{name}` | {text} |" for name, text in LABELS.items())
    parts.append(f"## Labels\n\n| label | values |\n|---|---|\n{labels}\n")
    return "\n".join(parts)


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.unit} | {metric.help} |"
