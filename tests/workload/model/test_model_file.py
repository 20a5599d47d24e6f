"""Model files: what is written is read back to the last bit; every mistake of a file is named at once."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.workload_models import api_class, conversation_class, model_of
from workload.model.file import BadModel, dump_model, load_model
from workload.model.gap_law import gap_moments
from workload.model.model import (
    EMPIRICAL,
    FAMILIES,
    Arrivals,
    Bursts,
    Candidate,
    Failures,
    GrowthBin,
    Lengths,
    LoadBin,
    LogNormal,
    Model,
    ModelClass,
    Quantiles,
    ResponseBin,
    Sessions,
    Source,
    Timeline,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
POSITIVE = st.floats(0.001, 1e4)
TOKENS = st.integers(1, 2**31 - 1)


@st.composite
def probabilities(draw):
    inner = draw(st.sets(st.floats(0.001, 0.999), max_size=4))
    return (0.0, *sorted(inner), 1.0)


def sorted_like(draw, values, of):
    return tuple(sorted(draw(st.lists(of, min_size=len(values), max_size=len(values)))))


@st.composite
def quantiles(draw, of=POSITIVE):
    at = draw(probabilities())
    return Quantiles(probabilities=at, values=sorted_like(draw, at, of))


@st.composite
def timelines(draw):
    rates = draw(st.lists(st.one_of(st.just(0.0), POSITIVE), min_size=1, max_size=5).filter(any))
    return Timeline(
        start_s=tuple(1200.0 * i for i in range(len(rates))),
        rate_per_s=tuple(rates),
        alpha=tuple(draw(st.lists(POSITIVE, min_size=len(rates), max_size=len(rates)))),
    )


@st.composite
def lengths(draw):
    at = draw(probabilities())
    bins = []
    for up_to in sorted(draw(st.sets(TOKENS, min_size=1, max_size=3))):
        own = draw(st.one_of(st.just(()), probabilities()))
        bins.append(
            ResponseBin(request_up_to=up_to, probabilities=own, response_tokens=sorted_like(draw, own or at, TOKENS))
        )
    return Lengths(
        probabilities=at,
        request_tokens=sorted_like(draw, at, TOKENS),
        response_given_request=tuple(bins),
        candidates=tuple(draw(st.lists(CANDIDATES, max_size=2))),
        source=draw(TEXTS),
    )


CANDIDATES = st.builds(
    Candidate,
    of=TEXTS,
    family=TEXTS,
    parameters=st.dictionaries(TEXTS, st.floats(-1e9, 1e9), max_size=2),
    log_likelihood=st.none() | st.floats(-1e12, 1e12),
    ks=st.none() | st.floats(0, 1),
)
SESSIONS = st.builds(
    Sessions,
    turns=st.just((0.5, 0.25)),
    tail_ratio=st.floats(0.1, 1),
    turns_max=st.integers(3, 500),
    think_time_s=quantiles() | st.builds(LogNormal, mu=st.floats(-9, 9), sigma=st.floats(0, 9), max_s=POSITIVE),
    growth_tokens=quantiles(of=st.integers(-5000, 5000)),
    first_request_tokens=quantiles(of=TOKENS),
    growth_given_request=st.just(())
    | st.builds(GrowthBin, request_up_to=TOKENS, growth_tokens=quantiles(of=st.integers(-5000, 5000))).map(
        lambda one: (one,)
    ),
    source=TEXTS,
)
ARRIVALS = st.builds(
    Arrivals,
    kind=st.just("renewal"),
    family=st.sampled_from(FAMILIES),
    rate_per_s=st.just(2.5),  # equal, so that equal shares are right
    alpha=POSITIVE,
    window_s=st.floats(1, 1e5),
    profile=st.just(()) | st.just((0.5, 1.5) * 12),
    timeline=st.none() | timelines(),
    candidates=st.lists(CANDIDATES, max_size=1).map(tuple),
    source=TEXTS,
)
BY_LOAD = (LoadBin(rate_up_to_per_s=1.5, ratio=0.1), LoadBin(rate_up_to_per_s=3.0, ratio=1.0))


@st.composite
def own_gaps(draw):
    """Return arrivals of gaps by their own quantiles, scaled to a mean of 1, with the alpha they have."""
    at = draw(probabilities().filter(lambda at: len(at) > 2))
    values = sorted(draw(st.lists(POSITIVE, min_size=len(at), max_size=len(at), unique=True)))
    mean, squared_cv = gap_moments(Quantiles(probabilities=at, values=tuple(values)))
    law = Quantiles(probabilities=at, values=tuple(value / mean for value in values))
    alpha = min(max(1 / max(squared_cv, 1e-9), 1e-4), 1e4)
    assume(abs(squared_cv * alpha - 1) < 0.01)
    return replace(draw(ARRIVALS), family=EMPIRICAL, gaps=law, alpha=alpha)


CLASSES = st.builds(
    ModelClass,
    name=TEXTS,
    share=st.just(1.0),
    service=TEXTS,
    model=TEXTS,
    log_type=TEXTS,
    arrivals=ARRIVALS | own_gaps(),
    lengths=lengths(),
    bursts=st.none()
    | st.builds(Bursts, per_hour=st.floats(0, 60), duration_s=quantiles(), factor=quantiles(), source=TEXTS),
    sessions=st.none() | SESSIONS,
    failures=st.none()
    | st.builds(
        Failures,
        ratio=st.floats(0, 1),
        by_load=st.just(())
        | st.just((LoadBin(rate_up_to_per_s=1.5, ratio=0.1), LoadBin(rate_up_to_per_s=3.0, ratio=1.0))),
        source=TEXTS,
    ),
)


@st.composite
def models(draw):
    classes = draw(st.lists(CLASSES, min_size=1, max_size=3, unique_by=lambda one: one.name))
    return Model(
        name=draw(TEXTS),
        description=draw(TEXTS),
        source=draw(
            st.builds(
                Source,
                file=TEXTS,
                sha256=TEXTS,
                rows=st.none() | st.integers(0, 10**9),
                span_s=st.none() | POSITIVE,
                citation=TEXTS,
                notes=TEXTS,
            )
        ),
        classes=tuple(replace(one, share=1 / len(classes)) for one in classes),
    )


@settings(max_examples=12, deadline=None)
@given(models())
def test_what_is_written_is_read_back_to_the_last_bit_as_toml_and_as_json(model):
    text = dump_model(model)
    assert load_model(text) == model
    assert load_model(json.dumps(tomllib.loads(text))) == model


def test_numpys_numbers_are_written_as_numbers():
    one = api_class(alpha=np.float64(0.25))
    assert load_model(dump_model(model_of(one))) == model_of(one)


def test_the_file_says_what_it_is_in_units():
    text = dump_model(model_of(api_class(), conversation_class()))
    for said in ("# requests a second", "# 1/CV^2", "tokens", "seconds from one submission", "CV = 1/sqrt(alpha)"):
        assert said in text
    assert max(map(len, text.splitlines())) <= 120


def tree(*classes):
    return tomllib.loads(dump_model(model_of(*classes)))


def problems(data):
    with pytest.raises(BadModel) as caught:
        load_model(json.dumps(data))
    for problem in caught.value.problems:
        assert f"\n  {problem}" in str(caught.value)
    return list(caught.value.problems)


def test_every_problem_is_named_at_once_with_its_path():
    data = tree(api_class(), conversation_class(name="talk"))
    data["version"] = 2
    del data["name"]
    data["class"][0]["arrivals"]["alpha"] = 0
    data["class"][0]["arrivals"]["famliy"] = "gamma"
    data["class"][1]["lengths"]["response_given_request"].append({"request_up_to": 3, "response_tokens": [1, 2]})
    data["class"][1]["sessions"]["turns"] = [0.9, 0.3]
    assert problems(data) == [
        "version: is 2; this Burstwatch knows up to 1",
        "class[0].arrivals.alpha: must be 0.0001 to 10000, not 0",
        "class[0].arrivals.beta: is 2.5, but alpha times rate_per_s is 0.0005",
        "class[0].arrivals.famliy: is not known here",
        "class[1].lengths.response_given_request[2].response_tokens: has 2 numbers, probabilities has 4",
        "class[1].lengths.response_given_request[2].request_up_to: must grow: 3 comes after 9000",
        "class[1].sessions.turns: sums to 1.2, which is more than 1",
        "name: is missing",
    ]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("arrivals.rate_per_s", -1, "must be 0 to 1e+06, not -1"),
        ("arrivals.rate_per_s", float("nan"), "must be a number, not 'nan'"),
        ("arrivals.rate_per_s", True, "must be a number, not 'True'"),
        ("arrivals.rate_per_s", 10**400, "must be 0 to 1e+06"),
        ("arrivals.rate_per_s", "5", "must be a number, not '5'"),
        ("arrivals.family", "empirical", "gaps: is missing"),
        ("arrivals.gaps", {"probabilities": [0, 1], "values": [1, 1]}, 'goes with family = "empirical" only'),
        ("arrivals.kind", "poisson", "must be one of renewal, sessions, not 'poisson'"),
        ("arrivals.kind", "sessions", "is missing"),
        ("arrivals.profile", [1, 1], "has 2 factors"),
        ("arrivals.profile", [2] * 24, "must have a mean of 1, not 2"),
        ("arrivals.timeline", {"start_s": [5], "rate_per_s": [1], "alpha": [1]}, "must begin at 0"),
        ("arrivals.timeline", {"start_s": [0, 0], "rate_per_s": [1, 1], "alpha": [1, 1]}, "must grow: 0 comes after 0"),
        ("arrivals.timeline", {"start_s": [0], "rate_per_s": [0], "alpha": [1]}, "nothing would ever come"),
        ("arrivals.timeline", {"start_s": [0], "rate_per_s": [1, 2], "alpha": [1]}, "has 2 numbers, start_s has 1"),
        ("arrivals.timeline", {"start_s": [0], "rate_per_s": [4], "alpha": [1], "beta": [1]}, "times rate_per_s is 4"),
        ("arrivals", [], "must be a table"),
        ("lengths.probabilities", [0, 0.5, 0.4, 1], "must grow: 0.4 comes after 0.5"),
        ("lengths.probabilities", [0, 0.5, 0.9, 0.99], "must go from 0 to 1"),
        ("lengths.request_tokens", [1, 9, 3, 9], "must not fall: 3 comes after 9"),
        ("lengths.request_tokens", [0, 1, 2, 3], "must be 1 to 2.14748e+09, not 0"),
        ("lengths.request_tokens", [], "must be a list of numbers"),
        ("lengths.response_given_request", [], "one at least"),
        ("lengths.response_given_request", {}, "must be a list of tables"),
        ("failures", {"ratio": 1.5}, "must be 0 to 1, not 1.5"),
        ("share", 0.5, "makes it 1 of all"),
        ("model", 5, "must be text"),
    ],
)  # fmt: skip
def test_a_hostile_value_is_named(path, value, said):
    data = tree(api_class())
    at = data["class"][0]
    *before, last = path.split(".")
    for key in before:
        at = at[key]
    at[last] = value
    found = problems(data)
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("class[0].") for problem in found)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "format = 1", '{"class": 5}', "x = [", "{" * 100_000, "\x00", "a,b\n1,2"]
)
def test_garbage_is_refused_with_the_one_documented_error(text):
    with pytest.raises(BadModel):
        load_model(text)


def test_hundreds_of_problems_are_counted_and_some_shown():
    data = tree(api_class())
    data["class"] = [{"name": str(i)} for i in range(50)]
    with pytest.raises(BadModel, match=r"problems:\n") as caught:
        load_model(json.dumps(data))
    assert len(caught.value.problems) == 150
    assert str(caught.value).endswith("and 130 more")


def test_growth_by_length_must_be_in_order_of_the_lengths():
    data = tree(conversation_class())
    one = {"probabilities": [0, 1], "values": [-5, 9]}
    data["class"][0]["sessions"]["growth_given_request"] = [{"request_up_to": at, **one} for at in (9, 5)]
    assert problems(data) == ["class[0].sessions.growth_given_request: must grow: 5 comes after 9 (place 1)"]


@pytest.mark.parametrize(
    ("values", "alpha", "said"),
    [
        ([0.5, 4], 2, "gaps.values: must have a mean of 1, not 1.683"),
        ([0.2, 2.86], 9, "alpha: is 9, but 1/CV^2 of gaps is"),
    ],
)
def test_gaps_by_their_quantiles_must_have_the_mean_and_the_alpha_that_are_told(values, alpha, said):
    data = tree(api_class())
    gaps = {"probabilities": [0, 1], "values": values}
    data["class"][0]["arrivals"] |= {"family": "empirical", "gaps": gaps, "alpha": alpha, "beta": alpha * 5}
    assert any(said in problem for problem in problems(data)), problems(data)
