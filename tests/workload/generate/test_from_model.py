"""A model becomes a trace: as many requests as asked for, as bursty, as long, in sessions, failing as it says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from collector.schema.errors import OperatorError
from tests.support.workload_models import LENGTHS, SESSIONS, api_class, conversation_class, model_of
from workload.generate.curve import curve_of, expected_of
from workload.generate.from_model import generate
from workload.generate.lengths import draw_requests, draw_responses, growing_by_length, growing_requests
from workload.generate.sessions import draw_turns, place_turns, turn_chances
from workload.model.model import Bursts, Failures, GrowthBin, LoadBin, Quantiles, ResponseBin, Timeline
from workload.scale.renewal import RateCurve
from workload.trace.columns import Trace


def rng(seed=1):
    return np.random.default_rng(seed)


def rows_of(trace: Trace):
    columns = (trace.submitted_us, trace.request_tokens, trace.response_tokens, trace.outcome)
    labels = (trace.session, trace.model, trace.log_type)
    return list(zip(*(c.tolist() for c in columns), *(label.values() for label in labels), strict=True))


GOLDEN = [
    (141283, 35, 35, 0, None, "ChatGPT", "API log"),
    (417721, 219, 126, 0, None, "ChatGPT", "API log"),
]
SUMS = (13780617914, 242198, 73708)
BOTH = model_of(api_class(rate_per_s=6.0), conversation_class(rate_per_s=1.5))


@settings(max_examples=15, deadline=None)
@given(rate=st.floats(0.5, 40), duration_s=st.floats(20, 400), seed=st.integers(0, 9), share=st.floats(0.05, 0.95))
def test_the_rate_is_met_exactly_in_order_inside_and_the_mix_to_one_request(rate, duration_s, seed, share):
    mix = {"api": share, "conversation": 1 - share}
    trace = generate(BOTH, rng(seed), duration_s=duration_s, rate_per_s=rate, mix=mix)
    assert len(trace) == round(rate * duration_s)
    assert np.all(np.diff(trace.submitted_us) >= 0)
    assert trace.submitted_us[0] >= 0
    assert trace.submitted_us[-1] < duration_s * 1e6
    assert trace.request_tokens.min() >= 1
    assert trace.response_tokens.min() >= 1
    assert abs(np.count_nonzero(trace.log_type.is_in("API log")) - share * len(trace)) < 1
    assert np.array_equal(trace.session.codes >= 0, trace.log_type.is_in("Conversation log"))
    assert len(set(trace.session.names)) == len(trace.session.names)


def test_without_a_rate_the_models_own_is_used():
    assert len(generate(BOTH, rng(), duration_s=200)) == 1500
    assert len(generate(BOTH, rng(), duration_s=200, mix={"api": 1})) == 1200


def test_the_same_seed_gives_the_same_rows_and_another_seed_does_not():
    def made(seed):
        return rows_of(generate(BOTH, rng(seed), duration_s=60.0))

    assert made(1) == made(1) != made(2)


def test_rows_of_a_seed_stay_what_they_are():
    """Published traces name a seed: a change here is a breaking one and belongs in the changelog."""
    trace = generate(BOTH, rng(7), duration_s=60.0)
    assert rows_of(trace)[:2] == GOLDEN
    assert (int(trace.submitted_us.sum()), int(trace.request_tokens.sum()), int(trace.response_tokens.sum())) == SUMS


@pytest.mark.parametrize("family", ["gamma", "weibull", "lognormal", "exponential"])
@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_gaps_are_as_bursty_as_the_model_says_in_every_family(family, alpha):
    model = model_of(api_class(alpha=alpha, family=family))
    gaps = np.diff(generate(model, rng(3), duration_s=60_000.0, rate_per_s=2.0).submitted_us / 1e6)
    expected = 1.0 if family == "exponential" else 1 / np.sqrt(alpha)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(expected, rel=0.05)
    laws = {
        "gamma": stats.gamma(alpha, scale=0.5 / alpha),
        "exponential": stats.expon(scale=0.5),
        "lognormal": stats.lognorm(np.sqrt(np.log1p(1 / alpha)), scale=0.5 / np.sqrt(1 + 1 / alpha)),
    }
    if family in laws:
        assert stats.kstest(gaps[:20_000], laws[family].cdf).statistic < 0.015


def test_rate_and_shape_follow_the_timeline_window_by_window_and_begin_again():
    timeline = Timeline(start_s=(0.0, 1200.0, 2400.0), rate_per_s=(8.0, 0.0, 2.0), alpha=(0.25, 1.0, 4.0))
    trace = generate(model_of(api_class(timeline=timeline)), rng(4), duration_s=3600.0 * 12)
    at = trace.submitted_us / 1e6
    window = (at // 1200).astype(int) % 3
    counts = np.bincount(window)
    assert counts[0] == pytest.approx(8 * 1200 * 12, rel=0.01)
    assert counts[1] == 0
    assert counts[2] == pytest.approx(2 * 1200 * 12, rel=0.01)
    for which, alpha in ((0, 0.25), (2, 4.0)):
        gaps = np.diff(at)[(window[1:] == which) & (window[:-1] == which)]
        gaps = gaps[gaps < 600]
        assert np.mean(gaps) ** 2 / np.var(gaps) == pytest.approx(alpha, rel=0.1)


def test_start_shifts_the_profile_and_steady_leaves_it_out():
    profile = (0.0,) * 12 + (2.0,) * 12
    model = model_of(api_class(profile=profile))
    trace = generate(model, rng(), duration_s=86_400.0, rate_per_s=1.0, start_s=6 * 3600.0)
    hours = np.bincount((trace.submitted_us // 3_600_000_000).astype(int), minlength=24)
    assert np.all(hours[6:18] > 0)
    assert not np.any(hours[:6])
    assert not np.any(hours[18:])
    flat = generate(model, rng(), duration_s=86_400.0, rate_per_s=1.0, steady=True)
    assert np.bincount((flat.submitted_us // 3_600_000_000).astype(int), minlength=24).min() > 0.8 * len(flat) / 24
    with pytest.raises(OperatorError, match="no request in this stretch"):
        generate(model, rng(), duration_s=3600.0)


def test_bursts_come_as_often_as_long_and_as_strong_as_the_model_says():
    def always(value):
        return Quantiles(probabilities=(0.0, 1.0), values=(value, value))

    one = api_class(bursts=Bursts(per_hour=6, duration_s=always(20.0), factor=always(8.0)), alpha=1.0)
    curve = curve_of(rng(2), one, duration_s=360_000.0, start_s=0.0, steady=True)
    inside = curve.rate_per_s > 10
    assert np.allclose(curve.rate_per_s[inside], 8 * 5.0 / one.bursts.gain)
    assert curve.expected == pytest.approx(5.0 * 360_000, rel=0.02)  # the mean rate holds the bursts
    assert expected_of(one, duration_s=360_000.0, start_s=0.0, steady=True) == pytest.approx(5.0 * 360_000)
    seconds = np.diff(curve.edges_s)
    assert seconds[inside].sum() == pytest.approx(600 * 20 * (1 - 20 / 1200), rel=0.08)
    timeline = Timeline(start_s=(0.0,), rate_per_s=(2.0,), alpha=(1.0,))
    timed = replace(one, arrivals=replace(one.arrivals, timeline=timeline))
    between = curve_of(rng(2), timed, duration_s=360_000.0, start_s=0.0, steady=False)
    assert set(np.round(between.rate_per_s, 9).tolist()) == {2.0, 16.0}  # a timeline's rates are those between bursts
    trace = generate(model_of(one), rng(2), duration_s=36_000.0, rate_per_s=5.0)
    per_5s = np.bincount((trace.submitted_us // 5_000_000).astype(int))
    assert len(trace) == 180_000
    assert per_5s.max() > 5 * np.median(per_5s)


def test_the_rate_is_the_models_whatever_chance_makes_of_the_bursts():
    long = Quantiles(probabilities=(0.0, 1.0), values=(60.0, 60.0))
    many = Quantiles(probabilities=(0.0, 1.0), values=(20.0, 20.0))
    model = model_of(api_class(bursts=Bursts(per_hour=5, duration_s=long, factor=many)))
    assert [len(generate(model, rng(seed), duration_s=900.0)) for seed in range(5)] == [4500] * 5


def test_the_gain_of_bursts_of_which_one_ends_another_is_that_of_a_long_draw():
    lasting = Quantiles(probabilities=(0.0, 0.8, 1.0), values=(1.0, 5.0, 900.0))
    factor = Quantiles(probabilities=(0.0, 1.0), values=(3.0, 3.0))
    one = api_class(bursts=Bursts(per_hour=40, duration_s=lasting, factor=factor))
    curve = curve_of(rng(3), one, duration_s=5e6, start_s=0.0, steady=True)
    assert curve.expected == pytest.approx(5.0 * 5e6, rel=0.004)


@pytest.mark.parametrize(("one", "tolerance"), [(conversation_class(), 0.18), (api_class(alpha=0.2), 0.25)])
def test_no_second_of_a_steady_trace_is_favoured(one, tolerance):
    starts = np.zeros(20)
    for seed in range(120):
        trace = generate(model_of(one), rng(seed), duration_s=100.0, rate_per_s=2.0)
        starts += np.histogram(trace.submitted_us / 1e6, bins=20, range=(0, 100))[0]
    assert starts.sum() == 120 * 200
    assert np.abs(starts / 1200 - 1).max() < tolerance


def test_lengths_keep_their_quantiles_and_the_responses_dependence():
    request = draw_requests(rng(5), 400_000, LENGTHS)
    assert np.quantile(request, LENGTHS.probabilities[1:3]) == pytest.approx([100, 1000], rel=0.03)
    response = draw_responses(rng(6), request, LENGTHS)
    for one, mask in zip(LENGTHS.response_given_request, (request <= 100, request > 100), strict=True):
        assert np.quantile(response[mask], [0, 0.5, 0.9, 1]) == pytest.approx(one.response_tokens, rel=0.05)
    assert stats.spearmanr(request[:20_000], response[:20_000]).statistic > 0.6


def test_bins_with_probabilities_of_their_own_and_atoms_are_met():
    own = ResponseBin(request_up_to=50, probabilities=(0.0, 0.2, 0.8, 1.0), response_tokens=(1, 7, 7, 20))
    lengths = replace(LENGTHS, response_given_request=(own, LENGTHS.response_given_request[1]))
    response = draw_responses(rng(), np.full(100_000, 10, np.int32), lengths)
    assert np.mean(response == 7) > 0.6
    assert np.mean(response <= 6) == pytest.approx(0.2, abs=0.03)


def slowly_growing(first, growth, low, high):
    """The recursion as a person would write it."""
    lengths = []
    for start, steps in zip(first, growth, strict=True):
        at = start
        lengths.append(at)
        for step in steps[1:]:
            at = max(at + step, low)
            lengths.append(at)
    return np.clip(lengths, low, high).tolist()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(5, 900), st.lists(st.integers(-500, 600), min_size=1, max_size=9)), min_size=1, max_size=6
    )
)
def test_requests_grow_turn_by_turn_as_the_recursion_says(sessions):
    first, growth = zip(*sessions, strict=True)
    heads = np.cumsum([0] + [len(steps) for steps in growth[:-1]])
    made = growing_requests(np.array(first, np.int32), np.concatenate(growth), heads, low=5, high=1000)
    assert made.tolist() == slowly_growing(first, growth, 5, 1000)


def test_growth_by_length_is_that_of_the_bin_it_begins_from_turn_by_turn():
    bins = (
        GrowthBin(request_up_to=100, growth_tokens=Quantiles(probabilities=(0.0, 0.5, 1.0), values=(10.0, 50.0, 90.0))),
        GrowthBin(request_up_to=900, growth_tokens=Quantiles(probabilities=(0.0, 1.0), values=(-300.0, -100.0))),
    )
    counts = rng(1).integers(1, 9, 400)
    first, chance = rng(2).integers(5, 900, 400).astype(np.int32), rng(3).random(counts.sum())
    made = growing_by_length(first, chance, counts, bins, (5, 800))
    expected, at = [], 0
    for begun, turns in zip(first.tolist(), counts.tolist(), strict=True):
        for turn in range(turns):
            if turn == 0:
                length = float(np.clip(begun, 5, 800))
            else:
                law = bins[0 if length <= 100 else 1].growth_tokens
                length = float(np.clip(length + np.rint(np.interp(chance[at], law.probabilities, law.values)), 5, 800))
            expected.append(int(length))
            at += 1
    assert made.tolist() == expected
    assert len(growing_by_length(first[:0], chance[:0], counts[:0], bins, (5, 800))) == 0


def test_sessions_have_the_models_turns_think_times_and_growing_requests():
    one = conversation_class()
    curve = RateCurve.steady(1e6, 0.2, 1.0)  # so long that hardly any session is cut
    turns = draw_turns(rng(8), curve, 200_000, one=one, sessions=SESSIONS)
    per_session = np.bincount(turns.session)
    chances = turn_chances(SESSIONS)
    assert chances[:2] == pytest.approx([0.4, 0.3])
    assert np.bincount(per_session, minlength=13)[1:13] / len(per_session) == pytest.approx(chances, abs=0.005)
    same = turns.session[1:] == turns.session[:-1]
    gaps = np.diff(turns.times_s)[same]
    assert np.all(gaps >= 0)
    assert np.median(gaps) == pytest.approx(np.exp(SESSIONS.think_time_s.mu), rel=0.03)
    assert gaps.max() <= SESSIONS.think_time_s.max_s + 1e-3
    assert np.mean(np.diff(turns.request_tokens.astype(int))[same]) > 50


def test_turns_beyond_the_end_are_carried_round_as_sessions_of_their_own():
    times, session = place_turns(
        np.array([1.0, 8.0]), np.array([9.0, 2.0, 9.0, 1.0, 25.0]), np.array([2, 3]), RateCurve.steady(10.0, 1.0, 1.0)
    )
    assert times.tolist() == [1.0, 3.0, 8.0, 9.0, 4.0]
    assert session.tolist() == [0, 0, 1, 1, 2]


def test_failures_have_no_response_and_come_as_often_as_the_model_says():
    model = model_of(api_class(failures=Failures(ratio=0.2)))
    trace = generate(model, rng(), duration_s=4000.0)
    assert np.mean(trace.failed) == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(trace.failed, trace.response_tokens == 0)


def test_failures_follow_the_load_of_their_minute():
    by_load = (LoadBin(rate_up_to_per_s=3.0, ratio=0.0), LoadBin(rate_up_to_per_s=9.0, ratio=0.5))
    timeline = Timeline(start_s=(0.0, 600.0), rate_per_s=(1.0, 20.0), alpha=(1.0, 1.0))
    one = api_class(timeline=timeline, window_s=600.0, failures=Failures(ratio=0.4, by_load=by_load))
    trace = generate(model_of(one), rng(), duration_s=1200.0)
    early = trace.submitted_us < 600_000_000
    assert not trace.failed[early].any()
    assert np.mean(trace.failed[~early]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mix": {"apii": 1.0}}, "--mix: there is no class 'apii' in the model; there are api, conversation"),
        ({"mix": {"api": 0.0}}, "no request in this stretch"),
        ({"rate_per_s": 1e9}, "at most 200,000,000"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(options, said):
    with pytest.raises(OperatorError) as caught:
        generate(BOTH, rng(), duration_s=100.0, **options)
    assert said in str(caught.value)


def test_no_request_at_all_is_an_empty_trace():
    assert len(generate(BOTH, rng(), duration_s=0.01, rate_per_s=1.0)) == 0


def test_sessions_of_two_classes_are_not_mixed_up():
    other = replace(conversation_class(name="other"), model="ChatGPT")
    trace = generate(model_of(api_class(), conversation_class(), other), rng(), duration_s=300.0)
    models = {}
    for session, model in zip(trace.session.values(), trace.model.values(), strict=True):
        models.setdefault(session, set()).add(model)
    assert models.pop(None) == {"ChatGPT"}  # API requests
    assert all(len(found) == 1 for found in models.values())
    assert {model for found in models.values() for model in found} == {"GPT-4", "ChatGPT"}
