"""From a trace to a model: what was put in comes back, what is not there is said, what cannot be fitted is refused."""

import json

import numpy as np
import pytest

from collector.schema.errors import OperatorError
from tests.support.known_workload import conversations, plain, renewal_us
from workload.fit.facts import facts_of
from workload.fit.failures import fit_failures
from workload.fit.fit import OTHER, Fit, FitOptions, fit
from workload.fit.lengths import fit_lengths, grid, quantiles_of
from workload.fit.sessions import fit_sessions
from workload.fit.text import fit_text
from workload.generate.from_model import generate
from workload.model.file import dump_model, load_model
from workload.trace.columns import Labels, Trace


def renewal(n_s: float = 1800.0, *, alpha: float = 0.5, rate: float = 2.0, seed: int = 1, **columns: object) -> Trace:
    return plain(renewal_us(np.random.default_rng(seed), alpha, rate, span_s=n_s), **columns)


def fitted(trace: Trace, **options: object) -> Fit:
    found = fit(trace, FitOptions(**options))
    assert load_model(dump_model(found.model)) == found.model  # whatever is fitted is a valid file
    return found


def ks(a: np.ndarray, b: np.ndarray) -> float:
    every = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), every, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def test_lengths_keep_their_quantiles_their_tail_and_their_dependence():
    trace = renewal(14_400)
    found = fitted(trace)
    made = generate(found.model, np.random.default_rng(1), duration_s=14_400)
    for column in ("request_tokens", "response_tokens"):
        seen, drawn = getattr(trace, column), getattr(made, column)
        assert ks(seen, drawn) < 0.02
        assert drawn.max() <= seen.max()
        assert np.quantile(drawn, 0.999) == pytest.approx(np.quantile(seen, 0.999), rel=0.35)
    logs = [np.corrcoef(np.log(t.request_tokens), np.log(t.response_tokens))[0, 1] for t in (trace, made)]
    assert logs[0] == pytest.approx(0.6, abs=0.02)
    assert logs[1] == pytest.approx(logs[0], abs=0.03)
    lengths = found.model.classes[0].lengths
    assert {one.of for one in lengths.candidates} == {"request_tokens", "response_tokens"}
    assert lengths.candidates[0].family in {"lognormal", "pareto+lognormal"}
    assert {one.family for one in lengths.candidates} == {"lognormal", "gamma", "zipf", "pareto+lognormal"}
    assert len(lengths.response_given_request) == 16


def test_a_value_that_most_requests_have_stays_what_most_requests_have():
    request = np.where(np.arange(3000) % 3 > 0, 512, np.arange(3000) % 700 + 1).astype(np.int32)
    found = fit_lengths(request, np.full(3000, 9, np.int32))
    share = np.mean(
        np.interp(np.linspace(0, 1, 2001), found.lengths.probabilities, found.lengths.request_tokens) == 512
    )
    assert share == pytest.approx(2 / 3, abs=0.05)
    assert found.response == []  # one length has no family
    assert set(found.lengths.response_given_request[0].response_tokens) == {9.0}


@pytest.mark.parametrize("n", [30, 99, 100, 500, 5000, 50_000])
def test_quantiles_go_from_0_to_1_and_tails_only_where_values_lie_beyond(n):
    points = grid(n)
    assert (points[0], points[-1]) == (0.0, 1.0)
    assert list(points) == sorted(set(points))
    assert all(n * (1 - p) >= 1 for p in points if 0.99 < p < 1)
    assert len(points) <= max(n / 4, 5) + 5


def test_few_values_are_all_kept_so_that_their_mean_is():
    values = np.array([10.0, 1.0, 4.0, 7.0])
    law = quantiles_of(values)
    assert law.values == (1.0, 4.0, 7.0, 10.0)
    assert np.trapezoid(law.values, law.probabilities) == pytest.approx(values.mean(), abs=0.01)
    assert quantiles_of(np.array([3.0])).values == (3.0, 3.0)


def test_sessions_come_back():
    turns = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    trace = conversations(np.random.default_rng(2), sessions=3000, rate_per_s=0.05, turns=turns)
    found = fitted(trace)
    one = found.model.classes[0]
    assert one.arrivals.kind == "sessions"
    assert one.sessions.turns == pytest.approx(turns, abs=0.03)
    assert one.sessions.turns_max == 6
    assert one.arrivals.alpha == pytest.approx(1.0, abs=0.12)  # of the starts; all turns together are another matter
    assert one.arrivals.rate_per_s == pytest.approx(0.05 * (turns @ np.arange(1, 7)), rel=0.08)
    think = found.classes[0].sessions.think_time[0]
    assert (think.parameters["mu"], think.parameters["sigma"]) == pytest.approx((np.log(60), 1.0), abs=0.05)
    assert think.ks < 0.02
    assert set(one.sessions.growth_tokens.values) == {50.0}
    assert set(one.sessions.first_request_tokens.values) == {100.0}


def test_long_requests_that_shrink_and_short_ones_that_grow_keep_their_lengths():
    """x' = 300 + 0.5 x + noise has a mean of 600; growth drawn without regard to x would have no bounds."""
    rng = np.random.default_rng(9)
    sessions, turns = 600, 8
    at, columns = rng.normal(600, 120, sessions), []
    for _ in range(turns):
        columns.append(np.maximum(np.rint(at), 1))
        at = 300 + 0.5 * at + rng.normal(0, 104, sessions)
    request = np.stack(columns, axis=1).astype(np.int32).ravel()
    times = np.sort(rng.uniform(0, 6e10, sessions))[:, None] + np.arange(turns) * 30e6
    order = np.argsort(times.ravel(), kind="stable")
    code = np.repeat(np.arange(sessions), turns).astype(np.int32)
    names = tuple(map(str, range(sessions)))
    times_us = times.ravel().astype(np.int64)[order]
    trace = plain(times_us, request_tokens=request[order], session=Labels(code[order], names))
    found = fitted(trace)
    bins = found.model.classes[0].sessions.growth_given_request
    medians = [np.interp(0.5, one.growth_tokens.probabilities, one.growth_tokens.values) for one in bins]
    assert len(medians) == 8
    assert medians == sorted(medians, reverse=True)
    assert medians[0] > 40
    assert medians[-1] < -40
    made = generate(found.model, rng, duration_s=60_000, rate_per_s=0.1)
    assert ks(trace.request_tokens, made.request_tokens) < 0.05
    assert made.request_tokens.std() == pytest.approx(trace.request_tokens.std(), rel=0.1)


def test_a_geometric_tail_of_turns_is_told_by_its_ratio():
    rng = np.random.default_rng(3)
    counts = rng.geometric(0.1, 4000)
    code = np.repeat(np.arange(4000), counts)
    trace = plain(
        np.arange(len(code)) * 7_000_000 + rng.integers(0, 9_000_000, len(code)).cumsum(),
        session=Labels(code.astype(np.int32), tuple(map(str, range(4000)))),
    )
    found = fit_sessions(trace).sessions
    assert found.tail_ratio == pytest.approx(0.9, abs=0.02)
    assert found.turns[:3] == pytest.approx([0.1, 0.09, 0.081], abs=0.015)
    assert found.turns_max == counts.max()


def test_a_session_in_few_rows_makes_no_sessions():
    trace = renewal(session=Labels(np.full(len(renewal()), -1, np.int32), ()))
    assert fit_sessions(trace) is None
    assert fitted(trace).model.classes[0].arrivals.kind == "renewal"


def test_failures_under_load_are_told_by_load():
    rng = np.random.default_rng(4)
    minute = np.repeat(np.arange(200), np.where(np.arange(200) % 2, 60, 6))
    times = np.sort(minute * 60_000_000 + rng.integers(0, 60_000_000, len(minute)))
    times[0] = 0  # minutes count from the first request
    busy = (times // 60_000_000) % 2 == 1
    bad = rng.random(len(times)) < np.where(busy, 0.2, 0.02)
    trace = plain(times, response_tokens=np.where(bad, 0, 50).astype(np.int32))
    found = fit_failures(trace)
    assert found.ratio == pytest.approx(bad.mean())
    assert found.by_load[0].ratio < 0.06
    assert found.by_load[-1].ratio == pytest.approx(0.2, abs=0.03)
    assert found.by_load[0].rate_up_to_per_s < 1 <= found.by_load[-1].rate_up_to_per_s + 0.1
    steady = plain(times, response_tokens=np.where(rng.random(len(times)) < 0.05, 0, 50).astype(np.int32))
    assert fit_failures(steady).by_load == ()
    assert "no difference" in fit_failures(steady).source


def test_small_kinds_of_request_are_pooled_and_it_is_said():
    n = len(renewal())
    names = np.zeros(n, np.int32)
    names[5:65], names[70:130], names[200:1700] = 1, 2, 3
    found = fitted(renewal(model=Labels(names, ("large", "rare", "scarce", "medium"))))
    assert [one.name for one in found.model.classes] == ["large", "medium", OTHER]
    assert sum(one.share for one in found.model.classes) == pytest.approx(1)
    assert [one.rows for one in found.classes] == [n - 1620, 1500, 120]
    assert any("2 kinds of request" in note and "'other'" in note for note in found.notes)
    few = np.zeros(n, np.int32)
    few[5:65] = 1
    alone = fitted(renewal(model=Labels(few, ("large", "rare"))))
    assert [one.rows for one in alone.classes] == [n]
    assert alone.model.classes[0].model == "large"
    assert "1 kind of request of fewer than 100 requests (60 requests in all) was counted with" in alone.notes[0]


def test_classes_are_what_by_says():
    n = len(renewal())
    codes = (np.arange(n) % 2).astype(np.int32)
    trace = renewal(model=Labels(codes, ("a", "b")), service=Labels(1 - codes, ("x", "y")))
    assert [one.name for one in fitted(trace).model.classes] == ["y / a", "x / b"]
    assert [one.name for one in fitted(trace, by=()).model.classes] == ["all"]


def empty() -> Trace:
    return plain(np.empty(0, np.int64))


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (empty(), "no request"),
        (plain(np.array([5])), "1 request;"),
        (plain(np.arange(29) ** 2), "29 requests;"),
        (plain(np.full(100, 7)), "at the same time"),
        (plain(np.arange(100) * 2_000_000), "all gaps of the trace are 2 s"),
        (plain(np.arange(100) ** 2, response_tokens=np.zeros(100, np.int32)), "0 of the trace's 100 requests"),
        (plain(np.arange(100) ** 2, request_tokens=np.full(100, -1, np.int32)), "0 of the trace's 100 requests"),
    ],
)
def test_a_trace_without_burstiness_or_lengths_is_refused_in_one_sentence(trace, words):
    with pytest.raises(OperatorError) as refused:
        fit(trace, FitOptions())
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_lengths_that_are_all_alike_are_no_mistake():
    n = len(renewal())
    found = fitted(renewal(request_tokens=np.full(n, 7, np.int32), response_tokens=np.full(n, 3, np.int32)))
    made = generate(found.model, np.random.default_rng(1), duration_s=100)
    assert set(made.request_tokens) == {7}
    assert set(made.response_tokens) == {3}


def test_what_cannot_be_known_is_said():
    notes = " ".join(fitted(renewal()).notes)
    assert "time of day is not known" in notes
    whole = renewal()
    whole = plain(
        whole.submitted_us // 1_000_000 * 1_000_000, request_tokens=np.where(np.arange(len(whole)) < 9, -1, 5)
    )
    assert "whole seconds" in " ".join(fitted(whole).notes)
    assert "9 requests tell no request tokens" in " ".join(fitted(whole).notes)
    most = renewal(request_tokens=np.full(len(renewal()), 2**31 - 1, np.int32))
    assert f"{len(most)} requests tell 2,147,483,647 tokens or more" in " ".join(fitted(most).notes)


ODD_GAPS = {
    "clumps": lambda rng, n: rng.gamma(0.02, 50.0, n),
    "heavy tail": lambda rng, n: rng.pareto(0.7, n),
    "mostly together": lambda rng, n: np.where(rng.random(n) < 0.9, 0.0, rng.exponential(100.0, n)),
    "nearly a clock": lambda rng, n: 1.0 + (rng.random(n) < 0.05),
    "pauses of an hour": lambda rng, n: np.where(np.arange(n) % 100, rng.exponential(0.01, n), 3600.0),
    "microseconds": lambda rng, n: rng.exponential(3e-6, n),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", ODD_GAPS)
def test_odd_traces_make_valid_models_or_are_refused(kind, whole):
    rng = np.random.default_rng(6)
    times = (np.cumsum(ODD_GAPS[kind](rng, 400)) * 1e6).astype(np.int64)
    times = times // 1_000_000 * 1_000_000 if whole else times
    tokens = rng.integers(0, 6, (2, 400)).astype(np.int32)
    trace = plain(times, request_tokens=tokens[0], response_tokens=tokens[1])
    try:
        found = fitted(trace)
    except OperatorError as refused:
        assert "at the same time" in str(refused)
        assert kind == "microseconds"
    else:
        json.dumps(facts_of(found), allow_nan=False)
        assert len(fit_text(facts_of(found)).splitlines()) > 5
        assert len(generate(found.model, rng, duration_s=10.0, rate_per_s=20.0)) == 200
