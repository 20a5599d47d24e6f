"""Sections: request and response lengths, and how the one depends on the other."""

import numpy as np

from workload.report.analysis_parts import Facts, beside_published, classes_of, rows_of
from workload.report.laws import lognormal_tail, zipf_tail
from workload.report.numbers import number
from workload.report.page import Html, Section, absent, figure, how_to_read, method, paragraph, side_by_side
from workload.report.plot_specs import Axis, Plot, Series
from workload.report.plots import draw
from workload.report.published import LENGTHS, PAPER, RELATION
from workload.report.tables import table
from workload.report.thin import floats

_QUANTILES = ("p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p99.9")
_SIDES = {"request": "Request tokens", "response": "Response tokens"}


def lengths_section(facts: Facts) -> Section:
    """Return the section of length distributions; it says so where the trace tells no lengths."""
    lengths = facts["lengths"]
    if not any(lengths[side]["n"] for side in _SIDES):
        return Section("lengths", "Lengths", [absent("The trace tells no token counts.")])
    body = [
        how_to_read(
            "The plots show the share of requests longer than a length. A straight line down is a power law (Zipf), a "
            "bend a log-normal. The tail decides memory: a few very long requests hold as much KV cache as hundreds of "
            "usual ones."
        ),
        side_by_side(*tails(facts)),
        _quantile_table(facts),
        _fits(facts),
        beside_published(facts, LENGTHS),
        paragraph(
            f"The paper finds request lengths Zipf-like and ChatGPT’s response lengths bimodal; its demo uses θ = 1.1 "
            f"({PAPER}). On BurstGPT_3 others fitted a log-normal of σ 0.888 to requests (KS 0.127) and σ 1.468 to "
            f"responses (KS 0.194): no family is close, so models should sample the quantiles.",
            kind="method",
        ),
        method(
            "Lengths of requests that did not fail. Fits by maximum likelihood; Zipf over 1 ... the greatest length "
            "seen. KS is the greatest distance between the fitted and the seen distribution, 0 to 1."
        ),
    ]
    return Section("lengths", "Request and response lengths", body)


def tails(facts: Facts, prefix: str = "") -> list[Html]:
    """Return the plots of both lengths; ``prefix`` keeps the names of drawings apart."""
    return [plot for side in _SIDES for plot in _tail(facts, side, prefix)]


def _tail(facts: Facts, side: str, prefix: str) -> list[Html]:
    of = facts["lengths"][side]
    if not of["n"] or not of["histogram"].get("counts"):
        return []
    edges, counts = floats(of["histogram"]["edges"]), floats(of["histogram"]["counts"])
    longer = 1 - np.cumsum(counts) / counts.sum()
    keep = (edges[1:] > 0) & (longer > 0)
    lines = [Series(x=edges[1:][keep], y=longer[keep], label="trace")]
    grid = floats(np.unique(np.round(np.geomspace(max((of["min"] or 1) / 2, 1), max(of["max"] or 1, 2), 120))))
    if of["zipf"]:
        y = zipf_tail(grid, of["zipf"]["theta"], int(of["zipf"]["k_max"]))
        lines.append(Series(x=grid, y=np.where(y > 0, y, np.nan), style="dashed", colour="s1", label="Zipf"))
    if of["lognormal"]:
        y = lognormal_tail(grid, of["lognormal"]["mu"], of["lognormal"]["sigma"])
        lines.append(Series(x=grid, y=np.where(y > 0, y, np.nan), style="dashed", colour="s2", label="log-normal"))
    least = max(0.5 / of["n"], 1e-7)
    plot = Plot(
        name=f"{prefix}{side}-tail",
        title=f"{_SIDES[side]}: share of requests longer",
        description=f"Median {number(of['quantiles'].get('p50'))}, p99 {number(of['quantiles'].get('p99'))}.",
        series=lines,
        x=Axis(label=_SIDES[side].lower(), scale="log"),
        y=Axis(label="share longer", scale="log", low=least, high=1.3),
    )
    told = f"mean {number(of['mean'])}, median {number(of['quantiles'].get('p50'))}, longest {number(of['max'])}"
    return [figure(draw(plot), f"{_SIDES[side]}: {told}.")]


def _quantile_table(facts: Facts) -> Html:
    rows = []
    for name, of in [("all", facts), *((of["name"], of) for of in classes_of(facts))]:
        for side in _SIDES:
            column = of["lengths"][side]
            if column["n"]:
                cells = [number(column["quantiles"].get(q)) for q in _QUANTILES]
                begin = [name if side == "request" else "", side, number(column["n"]), number(column["mean"])]
                rows.append([*begin, number(column["cv"]), *cells, number(column["max"])])
    header = ["", "", "n", "mean", "CV", *_QUANTILES, "max"]
    return table(header, rows, caption="Tokens", words=2, wide=True)


def _fits(facts: Facts) -> Html:
    rows = []
    for name, of in [("all", facts), *((of["name"], of) for of in classes_of(facts))]:
        for side in _SIDES:
            column = of["lengths"][side]
            zipf, lognormal = column["zipf"], column["lognormal"]
            if not zipf and not lognormal:
                continue
            rows.append([
                name if side == "request" else "", side,
                *([number(zipf["theta"]), number(zipf["ks"])] if zipf else ["-", "-"]),
                *([number(lognormal[key]) for key in ("mu", "sigma", "ks")] if lognormal else ["-"] * 3),
                _better(zipf, lognormal),
            ])  # fmt: skip
    if not rows:
        return absent("Too few different lengths to fit a distribution to.")
    header = ["", "", "Zipf θ", "KS", "log-normal μ", "σ", "KS", "closer"]
    return table(header, rows, caption="Fits", words=2)


def _better(zipf: Facts | None, lognormal: Facts | None) -> str:
    if not zipf or not lognormal:
        return "-"
    return "Zipf" if zipf["ks"] < lognormal["ks"] else "log-normal"


def relation_section(facts: Facts) -> Section:
    """Return the section of response length given request length."""
    relation = facts["relation"]
    rows = rows_of(relation["bins"])
    if not rows:
        why = "Too few requests with both lengths known."
        return Section("relation", "Response given request", [absent(why)])
    header = ["request tokens", "requests", "response q05", "median", "mean", "q95"]
    cells = [
        [
            f"{number(row['from_tokens'])}–{number(row['to_tokens'])}",
            *(number(row[key]) for key in ("n", "q05", "median", "mean", "q95")),
        ]
        for row in rows
    ]
    names = [("all", facts), *((of["name"], of) for of in classes_of(facts))]
    correlations = [
        [name, number(of["relation"]["n"]), number(of["relation"]["pearson"]), number(of["relation"]["spearman"])]
        for name, of in names
    ]
    body = [
        how_to_read(
            "Where the median rises with the request, long prompts ask for long answers; where the band is wide, the "
            "request says little about the answer. Generating lengths independently would lose what is seen here."
        ),
        side_by_side(relation_plot(facts), table(header, cells, caption="Response tokens by request tokens")),
        table(["", "requests", "Pearson", "Spearman"], correlations, caption="Correlation of the lengths"),
        beside_published(facts, RELATION),
        paragraph(
            "The paper’s Fig. 4 (read by eye, conversations): a bump near 25 to 60 request tokens (median about "
            "250), a minimum near 100 to 350 (90 to 130), then about linear: median 130 to 450 tokens from 400 to "
            "2,000.",
            kind="method",
        ),
        method("Requests that did not fail, with both lengths above zero; bins of fewer than 5 are left out."),
    ]
    return Section("relation", "Response length given request length", body)


def relation_plot(facts: Facts, prefix: str = "") -> Html:
    """Return the plot of medians, means and the 90 % band; there must be bins."""
    rows = rows_of(facts["relation"]["bins"])
    x = [row["request_mean"] for row in rows]
    plot = Plot(
        name=f"{prefix}relation",
        title="Response length against request length",
        description=f"Spearman correlation {number(facts['relation']['spearman'])}.",
        series=[
            Series(x=x, y=[max(row["q05"], 0.5) for row in rows], upper=[row["q95"] for row in rows], style="band",
                   label="90 % of requests"),
            Series(x=x, y=[row["median"] for row in rows], label="median", style="line+dots"),
            Series(x=x, y=[row["mean"] for row in rows], label="mean", style="dashed", colour="s1"),
        ],
        x=Axis(label="request tokens", scale="log"),
        y=Axis(label="response tokens", scale="log"),
    )  # fmt: skip
    return figure(draw(plot), "Response tokens by request tokens; 90 % of the requests are in the band.")
