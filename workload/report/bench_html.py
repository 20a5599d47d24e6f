"""A benchmark's result as a page: verdict, a table per rate, and what rising burstiness does, in plots.

``bench_page`` takes the dict of ``burstwatch workload bench --json``; what it does not hold is left out or ``-``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workload.report.bench_plots import Groups, against_cv, by_reason, heat_map, small_multiples
from workload.report.bench_rows import (
    COLUMNS,
    EXPLAINED,
    Run,
    by_rate,
    cv,
    described,
    quantile,
    rate_title,
    reasons,
)
from workload.report.numbers import known, number, percent
from workload.report.page import (
    Html,
    Section,
    absent,
    element,
    how_to_read,
    listed,
    method,
    page,
    paragraph,
    published,
    side_by_side,
)
from workload.report.plot_specs import Axis
from workload.report.tables import pairs, table

_PAPER = (
    "“Variations in burstiness in BurstGPT lead to memory bottlenecks, causing spikes in failure rates and performance "
    "degradation.” "
)


def bench_page(result: Mapping[str, Any]) -> str:
    """Return the page; self-contained, without scripts. Absent keys leave their plots out."""
    groups = by_rate(result)
    runs = [run for _, of_rate in groups for run in of_rate]
    sections = [Section("runs", "Runs", _runs(groups))]
    if runs:
        sections += [
            Section("latency", "Latency against burstiness", _latency(groups)),
            Section("goodput", "Goodput and failures against burstiness", _goodput(groups)),
            Section("memory", "KV cache and queue", _memory(groups)),
        ]
    sections.append(Section("setting", "Objectives, server, assumptions", _setting(result)))
    title = result.get("title") or "What burstiness does to the server"
    return page(str(title), _lead(result, runs), sections, "Written by burstwatch workload bench.")


def _lead(result: Mapping[str, Any], runs: Sequence[Run]) -> list[Html]:
    verdict = result.get("verdict") or {}
    kind = "fails" if known(verdict.get("fails_from_cv")) else "fine"
    sentences = [str(sentence) for sentence in verdict.get("sentences") or ["No verdict was reached."]]
    return [
        paragraph(
            f"{len(runs)} runs at equal mean rate and equal lengths; only the burstiness of the arrivals differs.",
            kind="lead",
        ),
        listed(sentences, f"verdict {kind}"),
    ]


def _runs(groups: Groups) -> list[Html]:
    if not groups:
        return [absent("No run was finished.")]
    parts = [
        how_to_read(
            "Each table is one mean rate; from row to row only the burstiness grows (CV 1 is Poisson traffic). A "
            "system with headroom shows the same figures in every row; where they part, burstiness costs."
        )
    ]
    for asked, runs in groups:
        rows = [[cell(run) for _, cell in COLUMNS] for run in runs]
        parts.append(table([title for title, _ in COLUMNS], rows, caption=rate_title(asked), words=0, wide=True))
    return [*parts, method(EXPLAINED)]


def _latency(groups: Groups) -> list[Html]:
    plots: list[Html] = []
    for what, words in (("ttft_s", "Time to first token"), ("latency_s", "Latency, whole response")):
        for q in ("p50", "p99"):
            plots += against_cv(
                groups,
                lambda run, what=what, q=q: quantile(run, what, q),  # type: ignore[misc]
                f"{what[:-2]}-{q}",
                f"{words}, {q}",
                Axis(label="seconds", scale="log"),
            )
    plots += against_cv(
        groups, lambda run: quantile(run, "itl_s", "p99"), "itl-p99", "Between tokens, p99", Axis(label="seconds")
    )
    if not plots:
        return [absent("No response was timed.")]
    rows = [
        [
            rate_title(asked),
            number(cv(run)),
            *(_seconds(run, what, q) for what in _TIMED for q in ("p50", "p90", "p99")),
        ]
        for asked, runs in groups
        for run in runs
    ]
    header = ["rate", "CV", *(f"{words} {q}" for words in _TIMED.values() for q in ("p50", "p90", "p99"))]
    return [
        how_to_read(
            "Both axes are logarithmic. A flat line is a server that does not notice the bursts. Where p99 rises and "
            "p50 does not, only the requests that arrive inside bursts wait."
        ),
        side_by_side(*plots),
        table(header, rows, caption="Seconds", wide=True),
    ]


_TIMED = {"ttft_s": "TTFT", "latency_s": "latency", "itl_s": "ITL"}


def _seconds(run: Run, what: str, q: str) -> str:
    return number(quantile(run, what, q))


def _goodput(groups: Groups) -> list[Html]:
    ratio = Axis(label="ratio", low=0, high=1.02)
    plots = [
        *against_cv(groups, lambda run: run.get("goodput_per_s"), "goodput", "Goodput: requests within the SLO",
                     Axis(label="requests/s", low=0)),
        *against_cv(groups, lambda run: run.get("slo_ok_ratio"), "slo", "Share of requests within the SLO", ratio),
        *against_cv(groups, lambda run: run.get("failed_ratio"), "failed", "Share of requests that failed",
                     Axis(label="ratio", low=0)),
        *by_reason(groups),
    ]  # fmt: skip
    return [
        how_to_read(
            "Goodput counts only requests that met every objective. The rate sent is the same everywhere on a line, so "
            "whatever is missing was lost to burstiness alone."
        ),
        published(_PAPER, element("cite", "Wang et al., BurstGPT (KDD ’25, arXiv 2401.17644), p. 2, as quoted.")),
        side_by_side(*plots),
        *heat_map(groups),
        *_reasons_table(groups),
    ]


def _reasons_table(groups: Groups) -> list[Html]:
    every = reasons([run for _, runs in groups for run in runs])
    if not every:
        return [paragraph("No request failed in any run.")]
    rows = [
        [rate_title(asked), number(cv(run)), percent(run.get("failed_ratio")),
         *(number((run.get("failures") or {}).get(reason, 0)) for reason in every)]
        for asked, runs in groups for run in runs
    ]  # fmt: skip
    return [table(["rate", "CV", "failed", *every], rows, caption="Failures by reason, requests")]


def _memory(groups: Groups) -> list[Html]:
    plots = [
        *against_cv(groups, lambda run: run.get("kv_usage_peak"), "kv-peak", "KV cache in use, peak",
                     Axis(label="ratio", low=0, high=1.02)),
        *against_cv(groups, lambda run: run.get("kv_time_full_ratio"), "kv-full", "Share of time with the cache full",
                     Axis(label="ratio", low=0)),
        *against_cv(groups, lambda run: run.get("preemptions"), "preemptions", "Preemptions",
                     Axis(label="requests", low=0)),
        *against_cv(groups, lambda run: run.get("waiting_peak"), "waiting", "Longest queue",
                     Axis(label="requests", low=0)),
    ]  # fmt: skip
    small = small_multiples(groups)
    if not plots and not small:
        return [absent("The server's metrics were not scraped, so nothing is known of its KV cache and queue.")]
    return [
        how_to_read(
            "The KV cache holds the context of every running request. At 100 % the server can only queue or preempt; "
            "a preempted request loses its cache and is computed again."
        ),
        side_by_side(*plots),
        *small,
    ]


def _setting(result: Mapping[str, Any]) -> list[Html]:
    parts: list[Html] = []
    for name, title in (("slo", "Objectives (SLO)"), ("server", "Server"), ("workload", "Workload")):
        if told := result.get(name):
            items = told.items() if isinstance(told, Mapping) else [(name, told)]
            rows = [(str(key).replace("_", " "), described(value)) for key, value in items]
            parts += [element("h3", title), pairs(rows)]
    if assumptions := result.get("assumptions"):
        parts += [element("h3", "Assumptions"), listed([described(line) for line in assumptions])]
    return parts or [absent("Nothing was told of the objectives and the server.")]
