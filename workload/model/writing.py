"""A model as TOML for people: units and meanings in comments, long lists wrapped. Pure."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from workload.model.model import (
    FORMAT,
    VERSION,
    Arrivals,
    Bursts,
    Candidate,
    Failures,
    Lengths,
    LogNormal,
    Model,
    ModelClass,
    Quantiles,
    Sessions,
    Source,
)

_WIDTH = 118


def dump_model(model: Model) -> str:
    """Return ``model`` as TOML; ``load_model`` of it is equal to ``model`` to the last bit."""
    return "\n".join(_model(model)) + "\n"


def _model(model: Model) -> Iterator[str]:
    yield "# A workload: `burstwatch workload generate --model THIS_FILE --out trace.csv` draws a trace from it."
    yield "# Gaps between requests ~ Gamma(shape alpha, rate parameter beta): CV = 1/sqrt(alpha), beta = alpha * rate."
    yield "# Every list of quantiles stands under its probabilities."
    yield f"format = {_text(FORMAT)}"
    yield f"version = {VERSION}"
    yield f"name = {_text(model.name)}"
    yield from _texts(description=model.description)
    if model.source != Source():
        yield from _source(model.source)
    for one in model.classes:
        yield from _class(one)


def _source(source: Source) -> Iterator[str]:
    yield "\n[source]"
    yield from _texts(file=source.file, sha256=source.sha256)
    if source.rows is not None:
        yield f"rows = {_number(source.rows)}"
    if source.span_s is not None:
        yield f"span_s = {_number(source.span_s)}"
    yield from _texts(citation=source.citation, notes=source.notes)


def _class(one: ModelClass) -> Iterator[str]:
    yield "\n# " + "-" * 80
    yield "[[class]]"
    yield f"name = {_text(one.name)}"
    yield from _texts(service=one.service, model=one.model, log_type=one.log_type)
    yield f"share = {_number(one.share)}  # of all requests"
    yield from _arrivals(one.arrivals)
    if one.bursts:
        yield from _bursts(one.bursts)
    yield from _lengths(one.lengths)
    if one.sessions:
        yield from _sessions(one.sessions)
    if one.failures:
        yield from _failures(one.failures)


def _arrivals(arrivals: Arrivals) -> Iterator[str]:
    yield "\n[class.arrivals]"
    yield from _texts(source=arrivals.source)
    yield f"kind = {_text(arrivals.kind)}"
    yield f"family = {_text(arrivals.family)}"
    yield f"rate_per_s = {_number(arrivals.rate_per_s)}  # requests a second: the mean over profile and bursts"
    yield f"alpha = {_number(arrivals.alpha)}  # 1/CV^2 of the gaps where no timeline says it"
    yield f"beta = {_number(arrivals.beta)}  # per second: alpha * rate_per_s"
    yield f"window_s = {_number(arrivals.window_s)}"
    if arrivals.profile:
        yield "# rate by hour over the mean rate: " + _PROFILE_NAMES[len(arrivals.profile)]
        yield _list("profile", arrivals.profile)
    if timeline := arrivals.timeline:
        yield "\n[class.arrivals.timeline]  # alpha(t) and beta(t): one entry a window; it begins again at its end"
        yield _list("start_s", timeline.start_s)
        yield _list("rate_per_s", timeline.rate_per_s)
        yield _list("alpha", timeline.alpha)
        yield _list("beta", timeline.beta)
    if arrivals.gaps:
        yield from _quantiles("class.arrivals.gaps", arrivals.gaps, "gaps over their mean, linear in the logarithm")
    yield from _candidates("class.arrivals", arrivals.candidates)


_PROFILE_NAMES = {24: "hours of the day from 0:00", 168: "hours of the week from Monday 0:00"}


def _bursts(bursts: Bursts) -> Iterator[str]:
    yield "\n[class.bursts]"
    yield from _texts(source=bursts.source)
    yield f"per_hour = {_number(bursts.per_hour)}  # episodes an hour on average"
    yield from _quantiles("class.bursts.duration_s", bursts.duration_s, "seconds")
    yield from _quantiles("class.bursts.factor", bursts.factor, "times as many requests as before")


def _lengths(lengths: Lengths) -> Iterator[str]:
    yield "\n[class.lengths]  # tokens"
    yield from _texts(source=lengths.source)
    yield _list("probabilities", lengths.probabilities)
    yield _list("request_tokens", lengths.request_tokens)
    for i, one in enumerate(lengths.response_given_request):
        yield "\n[[class.lengths.response_given_request]]"
        low = lengths.response_given_request[i - 1].request_up_to + 1 if i else 1
        yield f"request_up_to = {one.request_up_to}  # requests of {low} to {one.request_up_to} tokens"
        if one.probabilities:
            yield _list("probabilities", one.probabilities)
        yield _list("response_tokens", one.response_tokens)
    yield from _candidates("class.lengths", lengths.candidates)


def _candidates(path: str, candidates: Sequence[Candidate]) -> Iterator[str]:
    for one in candidates:
        yield f"\n[[{path}.candidates]]"
        yield from _texts(of=one.of)
        yield f"family = {_text(one.family)}"
        if one.parameters:
            inside = ", ".join(f"{_text(name)} = {_number(value)}" for name, value in one.parameters.items())
            yield f"parameters = {{ {inside} }}"
        if one.log_likelihood is not None:
            yield f"log_likelihood = {_number(one.log_likelihood)}"
        if one.ks is not None:
            yield f"ks = {_number(one.ks)}  # greatest distance of the distribution functions"


def _sessions(sessions: Sessions) -> Iterator[str]:
    yield "\n[class.sessions]"
    yield from _texts(source=sessions.source)
    yield "# P(1 turn), P(2 turns), ...; the rest is a tail, each number tail_ratio times as likely as the one before"
    yield _list("turns", sessions.turns)
    yield f"tail_ratio = {_number(sessions.tail_ratio)}"
    yield f"turns_max = {_number(sessions.turns_max)}"
    think = sessions.think_time_s
    if isinstance(think, LogNormal):
        yield "\n[class.sessions.think_time_s]  # log-normal seconds from one submission to the session's next"
        yield f"mu = {_number(think.mu)}"
        yield f"sigma = {_number(think.sigma)}"
        yield f"max_s = {_number(think.max_s)}"
    else:
        yield from _quantiles("class.sessions.think_time_s", think, "seconds from one submission to the session's next")
    yield from _quantiles("class.sessions.growth_tokens", sessions.growth_tokens, "request tokens from turn to turn")
    for one in sessions.growth_given_request:
        yield "\n[[class.sessions.growth_given_request]]"
        yield f"request_up_to = {one.request_up_to}  # tokens of the request that grows"
        yield _list("probabilities", one.growth_tokens.probabilities)
        yield _list("values", one.growth_tokens.values)
    yield from _quantiles("class.sessions.first_request_tokens", sessions.first_request_tokens, "tokens of turn 1")


def _failures(failures: Failures) -> Iterator[str]:
    yield "\n[class.failures]"
    yield from _texts(source=failures.source)
    yield f"ratio = {_number(failures.ratio)}  # failed requests, of all"
    for one in failures.by_load:
        yield "\n[[class.failures.by_load]]"
        yield f"rate_up_to_per_s = {_number(one.rate_up_to_per_s)}  # requests a second of this class in a minute"
        yield f"ratio = {_number(one.ratio)}"


def _quantiles(path: str, quantiles: Quantiles, unit: str) -> Iterator[str]:
    yield f"\n[{path}]  # {unit}"
    yield _list("probabilities", quantiles.probabilities)
    yield _list("values", quantiles.values)


def _texts(**texts: str) -> Iterator[str]:
    for name, text in texts.items():
        if text:
            yield f"{name} = {_text(text)}"


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but TOML also wants DEL escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _number(value: float) -> str:
    # Numpy's own numbers are welcome, but their repr is not TOML.
    return repr(value.item() if isinstance(value, np.generic) else value)


def _list(name: str, values: Sequence[float]) -> str:
    cells = [_number(value) for value in values]
    line = f"{name} = [{', '.join(cells)}]"
    if len(line) <= _WIDTH:
        return line
    lines, current = [f"{name} = ["], " "
    for cell in cells:
        if len(current) + len(cell) + 2 > _WIDTH:
            lines.append(current)
            current = " "
        current += f" {cell},"
    return "\n".join([*lines, current, "]"])
