"""Section: sessions, their turns, the time between them, how the context grows."""

from math import nan

import numpy as np

from workload.report.analysis_parts import Facts, beside_published
from workload.report.numbers import count, duration, number, percent
from workload.report.page import Html, Section, absent, figure, how_to_read, method, paragraph, published, side_by_side
from workload.report.plot_specs import Axis, Plot, Series
from workload.report.plots import draw
from workload.report.published import PAPER, SESSIONS, TURNS_PMF
from workload.report.tables import table
from workload.report.thin import floats

_QUANTILES = ("p10", "p25", "p50", "p75", "p90", "p99")


def sessions_section(facts: Facts) -> Section:
    """Return the section; a trace whose rows name no session says so."""
    found = facts["sessions"]
    title = "Sessions and turns"
    if not found["sessions"]:
        return Section("sessions", title, [absent("No row names a session, so nothing is known of turns.")])
    body = [
        how_to_read(
            "A session is one conversation; each turn sends the whole history again, so requests grow from turn to "
            "turn and most of a prompt may be in the cache. Share of sessions by turns falls roughly like a power of "
            "the turn."
        ),
        paragraph(
            f"{count(found['sessions'], 'session')}, {count(found['requests'], 'request')}: "
            f"{percent(found['single_ratio'])} of sessions end after one, {percent(found['later_turn_ratio'])} of "
            "requests are turn 2 or later."
        ),
        side_by_side(_turns(facts), *_gaps(facts)),
        _numbers(facts),
        published(
            "“Over 35% of conversations end with only one request ... exponential decline, with a median of 2 and 75% "
            f"of conversations with four or fewer requests” ({PAPER}, p. 4, Fig. 9, as quoted)."
        ),
        beside_published(facts, SESSIONS),
        method(
            "Requests that name a session. Think time: from the complete response to the next request, where elapsed "
            f"times are known ({count(found['overlapping'], 'turn')} began before the answer was complete, and were "
            "left out). A trace cuts sessions at its ends; nothing is corrected for that, so short traces see short "
            "sessions."
        ),
    ]
    return Section("sessions", title, body)


def _turns(facts: Facts) -> Html:
    pmf = facts["sessions"]["turns_pmf"]
    known = list(range(1, len(pmf) + 1))
    plot = Plot(
        name="turns",
        title="Share of sessions by number of turns",
        description=f"P(1) is {number(pmf[0] if pmf else None)}; of BurstGPT_3 it is {TURNS_PMF[0]}.",
        series=[
            Series(x=known, y=[p or nan for p in pmf], style="line+dots", label="this trace"),
            Series(x=list(range(1, len(TURNS_PMF) + 1)), y=TURNS_PMF, style="dashed", colour="s1", label="BurstGPT_3"),
        ],
        x=Axis(label="turns", ticks=[(n, str(n)) for n in (1, 5, 10, 15, 20)]),
        y=Axis(label="share of sessions", scale="log"),
    )
    theirs = ", ".join(str(p) for p in TURNS_PMF[:4])
    first = ", ".join(number(p) for p in pmf[:4])
    return figure(draw(plot), f"P(1), P(2), ... = {first} ... (BurstGPT_3: {theirs} ...).")


def _gaps(facts: Facts) -> list[Html]:
    lines = []
    for name, label, colour in (("gap_s", "request to next request", "s0"), ("think_s", "think time", "s1")):
        of = facts["sessions"][name]
        if of["n"] and of["histogram"].get("counts"):
            edges, counts = floats(of["histogram"]["edges"]), floats(of["histogram"]["counts"])
            below = np.cumsum(counts) / counts.sum()
            keep = edges[1:] > 0
            lines.append(Series(x=edges[1:][keep], y=below[keep], label=label, colour=colour))
    if not lines:
        return []
    plot = Plot(
        name="gaps",
        title="Time between the turns of a session",
        description=f"Median {duration(facts['sessions']['gap_s']['quantiles'].get('p50'))}.",
        series=lines,
        x=Axis(label="seconds", scale="log"),
        y=Axis(label="share below", low=0, high=1),
    )
    return [figure(draw(plot), "Share of turns that follow within a time.")]


def _numbers(facts: Facts) -> Html:
    found = facts["sessions"]
    rows = [
        [
            title,
            number(of["n"]),
            write(of["mean"]),
            *(write(of["quantiles"].get(q)) for q in _QUANTILES),
            write(of["max"]),
        ]
        for title, of, write in (
            ("turns a session", found["turns"], number),
            ("request to next request", found["gap_s"], duration),
            ("think time", found["think_s"], duration),
            ("length of sessions of 2 turns or more", found["duration_s"], duration),
            ("request tokens, turn 1", found["first_request"], number),
            ("request tokens, later turns", found["later_request"], number),
        )
        if of["n"]
    ]
    growth = found["growth_tokens"]
    if growth:
        cells = [number(growth.get(q)) for q in _QUANTILES]
        rows.append(["growth of the request per turn, tokens", "-", number(growth.get("mean")), *cells, "-"])
    shrinks = f"Requests that are shorter than the turn before: {percent(found['shrinks_ratio'])}"
    return table(["", "n", "mean", *_QUANTILES, "max"], rows, caption=shrinks, wide=True)
