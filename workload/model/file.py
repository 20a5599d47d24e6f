"""Model files: TOML (or JSON with the same tree) to ``Model`` and back. Pure: text comes in, text goes out.

``load_model`` names every mistake of a file at once; ``dump_model`` (in ``writing``) is its inverse.
"""

import json
import tomllib

from workload.model.gap_law import gap_moments
from workload.model.laws import lognormal_of, probabilities_of, quantiles_of
from workload.model.model import (
    EMPIRICAL,
    FAMILIES,
    FORMAT,
    KINDS,
    RENEWAL,
    SESSIONS,
    VERSION,
    WINDOW_S,
    Arrivals,
    Bursts,
    Candidate,
    Failures,
    GrowthBin,
    Lengths,
    LoadBin,
    Model,
    ModelClass,
    ResponseBin,
    Sessions,
    Source,
    Timeline,
    shares_of,
)
from workload.model.reading import BadModel, Table
from workload.model.writing import dump_model

__all__ = ["BadModel", "dump_model", "load_model"]

_TOKENS_MAX = 2**31 - 1
_ALPHA_MIN, _ALPHA_MAX = 1e-4, 1e4  # beyond: one gap as long as all others, or a clock's ticks
_RATE_MAX = 1e6
_SUM_TOLERANCE = 1e-6
_SHARE_TOLERANCE = 0.02
_MEAN_TOLERANCE = 0.02
_PROFILES = (0, 24, 168)


def load_model(text: str) -> Model:
    """Return the model that ``text`` holds, TOML or (if it begins with "{") JSON.

    Raises ``BadModel`` with all problems, each with its path in the file such as
    ``class[2].lengths.response_given_request[0].request_up_to: must grow: ...``.
    """
    problems: list[str] = []
    model = _model(Table(_tree(text), "", problems))
    if problems:
        raise BadModel(problems)
    return model


def _tree(text: str) -> object:
    try:
        return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadModel([f"the file: neither TOML nor JSON: {error}"]) from None


def _model(top: Table) -> Model:
    top.text("format", among=(FORMAT,))
    version = top.whole("version", 1)
    if version > VERSION:
        top.complain("version", f"is {version}; this Burstwatch knows up to {VERSION}")
    source = top.optional_table("source")
    classes = tuple(_class(one) for one in top.tables("class", needed=True))
    model = Model(
        name=top.text("name"),
        description=top.text("description", ""),
        source=_source(source) if source else Source(),
        classes=classes,
    )
    _whole_model(top, model)
    top.done()
    return model


def _whole_model(top: Table, model: Model) -> None:
    """Check what concerns all classes together."""
    seen: set[str] = set()
    for i, (one, by_rate) in enumerate(zip(model.classes, shares_of(model.classes), strict=True)):
        if one.name in seen:
            top.complain(f"class[{i}].name", f"{one.name!r} is taken by another class")
        seen.add(one.name)
        if abs(one.share - by_rate) > _SHARE_TOLERANCE:
            top.complain(
                f"class[{i}].share",
                f"is {one.share:g}, but arrivals.rate_per_s makes it {by_rate:.4g} of all classes' requests",
            )


def _source(table: Table) -> Source:
    rows = table.whole("rows", 0) if table.has("rows") else None
    source = Source(
        file=table.text("file", ""),
        sha256=table.text("sha256", ""),
        rows=rows,
        span_s=table.optional("span_s", 0),
        citation=table.text("citation", ""),
        notes=table.text("notes", ""),
    )
    table.done()
    return source


def _class(table: Table) -> ModelClass:
    bursts, sessions = table.optional_table("bursts"), table.optional_table("sessions")
    failures = table.optional_table("failures")
    one = ModelClass(
        name=table.text("name"),
        share=table.number("share", 0, 1),
        service=table.text("service", ""),
        model=table.text("model", ""),
        log_type=table.text("log_type", ""),
        arrivals=_arrivals(table.table("arrivals")),
        lengths=_lengths(table.table("lengths")),
        bursts=_bursts(bursts) if bursts else None,
        sessions=_sessions(sessions) if sessions else None,
        failures=_failures(failures) if failures else None,
    )
    if one.arrivals.kind == SESSIONS and one.sessions is None:
        table.complain("sessions", 'is missing: arrivals.kind is "sessions"')
    table.done()
    return one


def _arrivals(table: Table) -> Arrivals:
    timeline = table.optional_table("timeline")
    gaps = table.optional_table("gaps")
    window_s = table.number("window_s", 1, default=WINDOW_S)
    arrivals = Arrivals(
        kind=table.text("kind", RENEWAL, among=KINDS),
        family=table.text("family", "gamma", among=(*FAMILIES, EMPIRICAL)),
        rate_per_s=table.number("rate_per_s", 0, _RATE_MAX),
        alpha=table.number("alpha", _ALPHA_MIN, _ALPHA_MAX),
        window_s=window_s,
        profile=table.numbers("profile", 0, default=()),
        timeline=_timeline(timeline) if timeline else None,
        gaps=quantiles_of(gaps, 0) if gaps else None,
        candidates=_candidates(table),
        source=table.text("source", ""),
    )
    if (beta := table.optional("beta", 0)) is not None:
        _agree(table, "beta", beta, arrivals.beta)
    _gaps_agree(table, arrivals)
    if len(arrivals.profile) not in _PROFILES:
        table.complain("profile", f"has {len(arrivals.profile)} factors; 24 (hours of a day) or 168 (of a week)")
    elif arrivals.profile and abs(sum(arrivals.profile) / len(arrivals.profile) - 1) > 0.01:
        mean = sum(arrivals.profile) / len(arrivals.profile)
        table.complain("profile", f"must have a mean of 1, not {mean:.4g}")
    table.done()
    return arrivals


def _gaps_agree(table: Table, arrivals: Arrivals) -> None:
    """Check that quantiles of the gaps are there if and only if they are drawn from, and have the stated alpha."""
    law = arrivals.gaps
    if (law is not None) != (arrivals.family == EMPIRICAL):
        wanted = f'goes with family = "{EMPIRICAL}"'
        table.complain("gaps", f"{wanted} only" if law is not None else f"is missing: it {wanted}")
    elif law is not None and len(law.values) == len(law.probabilities) > 1:
        mean, squared_cv = gap_moments(law)
        if abs(mean - 1) > _MEAN_TOLERANCE:
            table.complain("gaps.values", f"must have a mean of 1, not {mean:.4g}")
        elif abs(squared_cv * arrivals.alpha - 1) > _MEAN_TOLERANCE:
            table.complain("alpha", f"is {arrivals.alpha:g}, but 1/CV^2 of gaps is {1 / max(squared_cv, 1e-9):.4g}")


def _timeline(table: Table) -> Timeline:
    start_s = table.numbers("start_s", 0)
    rate = table.numbers("rate_per_s", 0, _RATE_MAX)
    alpha = table.numbers("alpha", _ALPHA_MIN, _ALPHA_MAX)
    table.growing("start_s", start_s)
    if start_s and start_s[0] != 0:
        table.complain("start_s", f"must begin at 0, not {start_s[0]:g}")
    if table.as_long("rate_per_s", rate, "start_s", start_s) and not any(rate):
        table.complain("rate_per_s", "is 0 everywhere: nothing would ever come")
    fits = table.as_long("alpha", alpha, "start_s", start_s) and len(alpha) == len(rate)
    beta = table.numbers("beta", 0, default=())
    if beta and fits and table.as_long("beta", beta, "start_s", start_s):
        for i, (told, a, per_s) in enumerate(zip(beta, alpha, rate, strict=True)):
            _agree(table, f"beta[{i}]", told, a * per_s)
    table.done()
    return Timeline(start_s=start_s, rate_per_s=rate, alpha=alpha)


def _agree(table: Table, key: str, told: float, follows: float) -> None:
    if abs(told - follows) > 0.01 * follows + 1e-9:
        table.complain(key, f"is {told:g}, but alpha times rate_per_s is {follows:g}")


def _candidates(table: Table) -> tuple[Candidate, ...]:
    found = []
    for one in table.tables("candidates"):
        found.append(
            Candidate(
                of=one.text("of", ""),
                family=one.text("family"),
                parameters=one.pairs("parameters") if one.has("parameters") else {},
                log_likelihood=one.optional("log_likelihood", -1e15),
                ks=one.optional("ks", 0, 1),
            )
        )
        one.done()
    return tuple(found)


def _bursts(table: Table) -> Bursts:
    bursts = Bursts(
        per_hour=table.number("per_hour", 0, 3600),
        duration_s=quantiles_of(table.table("duration_s"), 0.001),
        factor=quantiles_of(table.table("factor"), 0),
        source=table.text("source", ""),
    )
    table.done()
    return bursts


def _lengths(table: Table) -> Lengths:
    probabilities = probabilities_of(table)
    request = table.numbers("request_tokens", 1, _TOKENS_MAX)
    table.growing("request_tokens", request, strictly=False)
    table.as_long("request_tokens", request, "probabilities", probabilities)
    bins, below = [], 0
    for one in table.tables("response_given_request", needed=True):
        bins.append(_bin(one, probabilities))
        if bins[-1].request_up_to <= below:
            one.complain("request_up_to", f"must grow: {bins[-1].request_up_to} comes after {below}")
        below = bins[-1].request_up_to
    lengths = Lengths(
        probabilities=probabilities,
        request_tokens=request,
        response_given_request=tuple(bins),
        candidates=_candidates(table),
        source=table.text("source", ""),
    )
    table.done()
    return lengths


def _bin(table: Table, shared: tuple[float, ...]) -> ResponseBin:
    own = probabilities_of(table, default=())
    tokens = table.numbers("response_tokens", 1, _TOKENS_MAX)
    table.growing("response_tokens", tokens, strictly=False)
    table.as_long("response_tokens", tokens, "probabilities", own or shared)
    one = ResponseBin(request_up_to=table.whole("request_up_to", 1), response_tokens=tokens, probabilities=own)
    table.done()
    return one


def _sessions(table: Table) -> Sessions:
    think = table.table("think_time_s")
    growth = tuple(_growth_bin(one) for one in table.tables("growth_given_request"))
    sessions = Sessions(
        turns=table.numbers("turns", 0, 1),
        tail_ratio=table.number("tail_ratio", 0, 1, default=0.0),
        turns_max=table.whole("turns_max", 1),
        think_time_s=lognormal_of(think) if think.has("mu") else quantiles_of(think, 0),
        growth_tokens=quantiles_of(table.table("growth_tokens"), -_TOKENS_MAX),
        first_request_tokens=quantiles_of(table.table("first_request_tokens"), 1),
        growth_given_request=growth,
        source=table.text("source", ""),
    )
    table.growing("growth_given_request", [one.request_up_to for one in growth])
    total = sum(sessions.turns)
    if total > 1 + _SUM_TOLERANCE:
        table.complain("turns", f"sums to {total:.6g}, which is more than 1")
    if sessions.turns_max < len(sessions.turns):
        table.complain("turns_max", f"is {sessions.turns_max}, but turns has {len(sessions.turns)} probabilities")
    elif sessions.turns and total < 1 - _SUM_TOLERANCE:
        if sessions.turns_max == len(sessions.turns):
            table.complain("turns", f"sums to {total:.6g}, and turns_max leaves no room for the rest")
        elif sessions.tail_ratio == 0:
            table.complain("tail_ratio", f"is needed: turns sums to {total:.6g}, the rest lies in the tail")
    table.done()
    return sessions


def _growth_bin(table: Table) -> GrowthBin:
    up_to = table.whole("request_up_to", 1)
    return GrowthBin(request_up_to=up_to, growth_tokens=quantiles_of(table, -_TOKENS_MAX))


def _failures(table: Table) -> Failures:
    bins, below = [], -1.0
    for one in table.tables("by_load"):
        bins.append(
            LoadBin(rate_up_to_per_s=one.number("rate_up_to_per_s", 0, _RATE_MAX), ratio=one.number("ratio", 0, 1))
        )
        if bins[-1].rate_up_to_per_s <= below:
            one.complain("rate_up_to_per_s", f"must grow: {bins[-1].rate_up_to_per_s:g} comes after {below:g}")
        below = bins[-1].rate_up_to_per_s
        one.done()
    failures = Failures(ratio=table.number("ratio", 0, 1), by_load=tuple(bins), source=table.text("source", ""))
    table.done()
    return failures
