"""A fit on the terminal: a block for each class, what was chosen and why, what could not be known. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workload.report.numbers import duration, number, percent

_LABEL = 11


def fit_text(facts: Mapping[str, Any]) -> str:
    """Return the text of ``facts_of``'s tree."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    classes = facts["classes"]
    kinds = "1 class" if len(classes) == 1 else f"{len(classes)} classes"
    yield f"{facts['name']}: {number(facts['rows'])} requests in {duration(facts['span_s'])}, {kinds}"
    for one in classes:
        yield ""
        yield f"{one['name']}  ({number(one['rows'])} requests, {percent(one['share'])})"
        yield from _arrivals(one["arrivals"])
        yield from _bursts(one["bursts"])
        yield from _lengths(one["lengths"])
        if one["sessions"]:
            yield from _sessions(one["sessions"])
        if one["failures"]:
            yield from _failures(one["failures"])
        for note in one["notes"]:
            yield _row("not known", note)
    if facts["notes"]:
        yield ""
    for note in facts["notes"]:
        yield f"Note: {note}."


def _row(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}} {text}"


def _arrivals(found: Mapping[str, Any]) -> Iterator[str]:
    of = "starts of sessions" if found["kind"] == "sessions" else "gaps"
    known = found["alpha_lower"] is not None
    sure = f" (95 % {number(found['alpha_lower'])} to {number(found['alpha_upper'])})" if known else ""
    method = f" by {found['method']}" if found["method"] else ""
    yield _row("rate", f"{number(found['rate_per_s'])} requests/s; by window {_spread(found['rate_by_window'])}")
    yield _row("alpha", f"{number(found['alpha'])}{sure}, CV {number(found['alpha'] ** -0.5)}{method}, {of}")
    if found["alpha_by_window"]:
        of_all = f"{found['windows_with_alpha']} of {found['windows']} windows"
        yield _row("alpha(t)", f"{of_all}: {_spread(found['alpha_by_window'])}")
    yield from _race("gaps", found["candidates"])
    if found["profile"]:
        low, high = min(found["profile"]), max(found["profile"])
        hours = "the week's" if len(found["profile"]) > 24 else "the day's"
        ratio = f", {number(high / low)} times the least" if low else ""
        yield _row("hours", f"{hours} busiest has {number(high)} times the mean rate{ratio}")


def _bursts(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["in_model"]:
        return
    yield _row(
        "bursts",
        f"{number(found['per_hour'])} an hour, {_spread(found['duration_s'])} s long, "
        f"{_spread(found['factor'])} times as fast",
    )


def _lengths(found: Mapping[str, Any]) -> Iterator[str]:
    yield _row("request", f"tokens {_spread(found['request_tokens'])} (drawn from quantiles)")
    yield from _race("", found["request_candidates"])
    bars = found["response_by_request"]
    low, high = bars[0], bars[-1]
    median = f"tokens, median {number(low['response_p50'])} for requests up to {number(low['request_up_to'])}"
    if len(bars) > 1:
        median += f", {number(high['response_p50'])} for the longest ({len(bars)} ranges)"
    yield _row("response", median)
    yield from _race("", found["response_candidates"])


def _race(label: str, candidates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which family is likeliest and by how much the others are behind (AIC)."""
    if not candidates:
        return
    first = candidates[0]
    told = []
    for one in candidates:
        ks = "" if one["ks"] is None else f", KS {number(one['ks'], 2)}"
        behind = "least AIC" if one is first else f"+{number(one['aic'] - first['aic'])}"
        told.append(f"{one['family']} ({behind}{ks})")
    yield _row(label, "; ".join(told))


def _sessions(found: Mapping[str, Any]) -> Iterator[str]:
    yield _row(
        "sessions",
        f"{number(found['sessions'])}, {number(found['mean_turns'])} turns on average, "
        f"{percent(found['turns'][0])} of one turn, at most {found['turns_max']}",
    )
    think, law = found["think_time_s"], found["think_time_lognormal"][0]
    if think:
        told = f"{_spread(think)} s from submission to submission"
        if law["mu"] is not None:
            told += f"; log-normal mu {number(law['mu'])}, sigma {number(law['sigma'])}, KS {number(law['ks'], 2)}"
        yield _row("think time", told)
    yield _row("growth", f"tokens a turn {_spread(found['growth_tokens'])}")


def _failures(found: Mapping[str, Any]) -> Iterator[str]:
    yield _row("failures", f"{percent(found['ratio'])}: {found['source']}")
    for bar in found["by_load"]:
        yield _row("", f"up to {number(bar['rate_up_to_per_s'])} requests/s in the minute: {percent(bar['ratio'])}")


def _spread(found: Mapping[str, float]) -> str:
    shown = (f"{name} {number(found[name])}" for name in ("p50", "p90", "p99", "max"))
    return ", ".join(shown)
