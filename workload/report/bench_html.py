"""A benchmark's result as a page: verdict, a table per rate, and what rising burstiness does, in plots.

``bench_page`` takes the dict of ``burstwatch workload bench --json``; what it does not hold is left out or ``-``.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from workload.report.bench_plots import Groups, Measure, against_cv, by_reason, heat_map, small_multiples
from workload.report.bench_rows import (
    COLUMNS,
    EXPLAINED,
    Run,
    by_rate,
    cv,
    described,
    quantile,
    rate_title,
    rate_words,
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
from workload.report.published import PAPER
from workload.report.tables import pairs, table

_FIRST = 6  # sentences of the verdict that stand out
_PAPER = (
    "“Variations in burstiness in BurstGPT lead to memory bottlenecks, causing spikes in failure rates and performance "
    "degradation.” "
)


def bench_page(result: Mapping[str, Any]) -> str:
    """Return the page; self-contained, without scripts. Absent keys leave their plots out."""
    groups = by_rate(result)
    runs = [run for _, of_rate in groups for run in of_rate]
    sections = [Section("runs", "Runs", _runs(groups, result))]
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
        listed(sentences[:_FIRST], f"verdict {kind}"),
        *([listed(sentences[_FIRST:], "more")] if sentences[_FIRST:] else []),
    ]


def _runs(groups: Groups, result: Mapping[str, Any]) -> list[Html]:
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
    share = (result.get("slo") or {}).get("share")
    maps = heat_map(groups, float(share) if known(share) else 0.99)
    rates, memory = _limits(result)
    return [*parts, method(EXPLAINED), side_by_side(*maps, *rates), *memory]


def _limits(result: Mapping[str, Any]) -> tuple[list[Html], list[Html]]:
    """Return the verdict's numbers: up to which rate each burstiness holds, and with how much memory."""
    verdict = result.get("verdict") or {}
    rates, memory = verdict.get("rate_headroom") or [], verdict.get("kv_headroom") or []
    rows = [[number(r["cv"]), number(r["low_per_s"]), number(r["high_per_s"]), number(r["of_rate"])] for r in rates]
    header = ["CV", "holds at, 1/s", "breaks at, 1/s", "of the rate asked"]
    told = (
        [table(header, rows, caption="Rate headroom: the rate that meets the objective (more is better)")]
        if rows
        else []
    )
    return told, [_memory_table(memory)] if memory else []


def _memory_table(memory: Sequence[Mapping[str, Any]]) -> Html:
    found = {(m["rate_per_s"], m["cv"]): m for m in memory}
    cvs = sorted({m["cv"] for m in memory})
    rows = [
        [rate_words(asked), *(_memory_cell(found.get((asked, at))) for at in cvs)]
        for asked in sorted({m["rate_per_s"] for m in memory})
    ]
    how = ", ".join(sorted({str(m["how"]) for m in memory}))
    caption = (
        f"KV need: the memory that meets the objective ({how}), in times what there is or in tokens; less is better, "
        "- where no amount does"
    )
    return table(["rate", *(f"CV {number(at)}" for at in cvs)], rows, caption=caption)


def _memory_cell(found: Mapping[str, Any] | None) -> str:
    if found is None or not known(found["tokens"]):
        return "-"
    tokens = f"{number(round(found['tokens']))} tokens"
    return f"{number(found['factor'])} ({tokens})" if known(found["factor"]) else tokens


_COLUMNS = [
    *(
        (what, words, q)
        for what, words in (("ttft_s", "TTFT"), ("latency_s", "latency"))
        for q in ("p50", "p90", "p99")
    ),
    *(("tpot_s", "per token", q) for q in ("p50", "p99")),
    ("stall_s", "longest pause", "p99"),
]
_TIMES = (
    ("ttft_s", "p50", "Time to the first token, median"),
    ("ttft_s", "p99", "Time to the first token, p99"),
    ("latency_s", "p50", "Latency of the whole response, median"),
    ("latency_s", "p99", "Latency of the whole response, p99"),
    ("tpot_s", "p99", "Time per token after the first, p99"),
    ("stall_s", "p99", "Longest pause within a response, p99"),
)


def _latency(groups: Groups) -> list[Html]:
    axis = Axis(label="seconds", scale="log")
    plots = [
        plot
        for what, q, title in _TIMES
        for plot in against_cv(groups, Measure(f"{what[:-2]}-{q}", title, partial(quantile, what=what, name=q), axis))
    ]
    if not plots:
        return [absent("No response was timed.")]
    rows = [
        [rate_words(asked), number(cv(run)), *(number(quantile(run, what, q)) for what, _, q in _COLUMNS)]
        for asked, runs in groups
        for run in runs
    ]
    return [
        how_to_read(
            "Both axes are logarithmic. A flat line is a server that does not notice the bursts. Where p99 rises and "
            "the median does not, only the requests that arrive inside bursts wait."
        ),
        side_by_side(*plots),
        table(["rate", "CV", *(f"{words} {q}" for _, words, q in _COLUMNS)], rows, caption="Seconds", wide=True),
    ]


def _goodput(groups: Groups) -> list[Html]:
    ratio = Axis(label="ratio", low=0, high=1.02)
    measures = (
        Measure.of("goodput_per_s", "Goodput: requests a second within the objective", Axis(label="requests/s", low=0)),
        Measure.of("slo_ok_ratio", "Share of requests within the objective", ratio, ("slo_ok_low", "slo_ok_high")),
        Measure.of("failed_ratio", "Share of requests that failed", Axis(low=0), ("failed_low", "failed_high")),
    )
    plots = [plot for measure in measures for plot in against_cv(groups, measure)]
    return [
        how_to_read(
            "Goodput counts only answers that met the objective and came while requests were sent. The rate sent is "
            "the same everywhere on a line: what a run has less than the calmest one was lost to burstiness alone."
        ),
        published(_PAPER, element("cite", f"{PAPER}, p. 2, as quoted.")),
        side_by_side(*plots, *by_reason(groups)),
        *_reasons_table(groups),
    ]


def _reasons_table(groups: Groups) -> list[Html]:
    every = reasons([run for _, runs in groups for run in runs])
    if not every:
        return [paragraph("No request failed in any run.")]
    rows = [
        [rate_words(asked), number(cv(run)), percent(run.get("failed_ratio")),
         *(number((run.get("failures") or {}).get(reason, 0)) for reason in every)]
        for asked, runs in groups for run in runs
    ]  # fmt: skip
    return [table(["rate", "CV", "failed", *every], rows, caption="Failures by reason, requests")]


def _memory(groups: Groups) -> list[Html]:
    measures = (
        Measure.of("kv_usage_peak", "KV cache in use, peak", Axis(label="ratio", low=0, high=1.02)),
        Measure.of("kv_time_full_ratio", "Share of the time with the cache full", Axis(label="ratio", low=0)),
        Measure.of("preemptions", "Preemptions", Axis(low=0)),
        Measure.of("waiting_peak", "Longest queue", Axis(label="requests", low=0)),
    )
    plots = [plot for measure in measures for plot in against_cv(groups, measure)]
    small = small_multiples(groups)
    if not plots and not small:
        return [absent("The server's metrics were not scraped, so nothing is known of its KV cache and queue.")]
    return [
        how_to_read(
            "The KV cache holds the context of every running request. At 100 % the server can only queue or preempt; "
            "a preempted request loses its cache and is computed again. Over time the first run of each point is "
            "drawn; its figures are of all repeats."
        ),
        side_by_side(*plots),
        *small,
    ]


_WORDS = {
    "ttft_s": "first token within, s",
    "tpot_s": "time per further token, s",
    "latency_s": "whole answer within, s",
    "share": "share of requests that must",
    "failed_ratio_max": "failed at most",
}


def _words(key: str) -> str:
    return _WORDS.get(key, key.replace("_", " "))


def _setting(result: Mapping[str, Any]) -> list[Html]:
    parts: list[Html] = []
    for name, title in (("slo", "Objectives (SLO)"), ("server", "Server"), ("workload", "Workload")):
        if told := result.get(name):
            items = told.items() if isinstance(told, Mapping) else [(name, told)]
            rows = [(_words(str(key)), described(value)) for key, value in items if value not in (None, [], {})]
            parts += [element("h3", title), pairs(rows)]
    if assumptions := result.get("assumptions"):
        parts += [element("h3", "Assumptions"), listed([described(line) for line in assumptions])]
    return parts or [absent("Nothing was told of the objectives and the server.")]
