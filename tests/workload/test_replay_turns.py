"""Sessions in turn, by a clock of the test's own: who may leave when, and what the next request carries."""

import math
from heapq import heappop, heappush
from itertools import count, pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workload.replay import turns as turns_module
from workload.replay.answer import Answer
from workload.replay.compose import Composer, Form
from workload.replay.options import Endpoint, SessionMode
from workload.replay.schedule import Shot
from workload.replay.sizing import Sizing
from workload.replay.turns import Turns
from workload.replay.words import WordPool


def shot(at_s, session="s", *, elapsed_s=None, request=10, response=5):
    return Shot(
        at_s=at_s,
        prompt_tokens=request,
        response_tokens=response,
        model="m",
        session=session,
        conversation=session,
        elapsed_s=elapsed_s,
    )


def simulate(shots, latency_of, mode=SessionMode.CLOSED):
    """Play shots on a made-up server; returns (planned_s, sent order number, shot, ended_s) in the order of leaving."""
    turns, order, waiting, ends, left = Turns(mode), count(), [], [], []

    def plan(planned):
        if planned is not None:
            heappush(waiting, (planned.at_s, next(order), planned.shot))

    ahead = sorted(shots, key=lambda s: s.at_s)
    while ahead or waiting or ends:
        offer_s = ahead[0].at_s - turns.look_ahead_s if ahead else math.inf
        now_s = min(offer_s, waiting[0][0] if waiting else math.inf, ends[0][0] if ends else math.inf)
        if ends and ends[0][0] == now_s:
            ended_s, _, done, sent_s = heappop(ends)
            plan(turns.ended(done, sent_s=sent_s, ended_s=ended_s))
        elif ahead and offer_s == now_s:
            plan(turns.offer(ahead.pop(0), now_s))
        else:
            at_s, number, one = heappop(waiting)
            left.append((at_s, one, at_s + latency_of(one)))
            heappush(ends, (at_s + latency_of(one), number, one, at_s))
    assert turns.waiting == 0
    return left


def test_a_turn_leaves_after_the_answer_and_the_recorded_think_time():
    # Recorded: answers of 2 s, thinking 3 s. Here answers take 4 s, then 0.5 s: later, then sooner than recorded.
    session = [shot(0.0, elapsed_s=2.0), shot(5.0, elapsed_s=2.0), shot(10.0, elapsed_s=2.0)]
    assert [0.0, 7.0, 14.0] == [at for at, _, _ in simulate(session, lambda _: 4.0)]
    assert [0.0, 3.5, 7.0] == [at for at, _, _ in simulate(session, lambda _: 0.5)]


def test_a_server_as_fast_as_the_recorded_one_leaves_every_turn_where_it_was():
    session = [shot(at, elapsed_s=e) for at, e in ((0.0, 1.0), (4.0, 2.5), (9.0, 0.25), (30.0, 3.0))]
    assert [0.0, 4.0, 9.0, 30.0] == [at for at, _, _ in simulate(session, lambda s: s.elapsed_s)]


def test_where_the_trace_does_not_tell_how_long_answers_took_the_gaps_are_kept_but_no_answer_is_overtaken():
    session = [shot(0.0), shot(5.0), shot(6.0)]
    assert [0.0, 5.0, 6.0] == [at for at, _, _ in simulate(session, lambda _: 0.5)]
    assert [0.0, 5.0, 8.0] == [at for at, _, _ in simulate(session, lambda _: 3.0)]


def test_a_recorded_overlap_is_a_think_time_of_nothing():
    session = [shot(0.0, elapsed_s=9.0), shot(1.0, elapsed_s=9.0)]
    assert [0.0, 2.0] == [at for at, _, _ in simulate(session, lambda _: 2.0)]


traces = st.lists(
    st.tuples(st.floats(0, 1000), st.sampled_from(["a", "b", "c", None]), st.none() | st.floats(0, 20)), max_size=30
)


@given(traces, st.randoms(use_true_random=False))
def test_no_turn_overtakes_its_answer_nothing_is_lost_and_strangers_do_not_wait(rows, rng):
    shots = [shot(at, session, elapsed_s=elapsed) for at, session, elapsed in rows]
    latencies = {id(s): rng.uniform(0.0, 50.0) for s in shots}
    left = simulate(shots, lambda s: latencies[id(s)])
    assert sorted(id(s) for s in shots) == sorted(id(s) for _, s, _ in left)
    for name in ("a", "b", "c"):
        session = [(at, ended, s.at_s) for at, s, ended in left if s.conversation == name]
        assert [due for _, _, due in session] == sorted(due for _, _, due in session)
        assert all(after[0] >= before[1] for before, after in pairwise(session))
    assert all(at == s.at_s for at, s, _ in left if s.conversation is None)


@given(traces)
def test_open_sessions_leave_at_their_times_whatever_the_server_does(rows):
    shots = [shot(at, session, elapsed_s=elapsed) for at, session, elapsed in rows]
    assert all(at == s.at_s for at, s, _ in simulate(shots, lambda _: 40.0, SessionMode.OPEN))


def test_memory_is_bounded_by_forgetting_the_longest_silent_sessions(monkeypatch):
    monkeypatch.setattr(turns_module, "SESSIONS_MAX", 10)
    turns = Turns(SessionMode.CLOSED)
    for i in range(100):
        one = shot(float(i), f"s{i}")
        assert turns.offer(one, float(i)).at_s == i
        turns.ended(one, sent_s=float(i), ended_s=i + 0.5)
    assert len(turns._sessions) <= 11
    assert "s99" in turns._sessions


# ------------------------------------------------------------------------------------------------ what a turn carries


POOL = WordPool(1)


def composer(*, histories=True, endpoint=Endpoint.CHAT):
    return Composer(POOL, Sizing(), Form(endpoint=endpoint), histories=histories)


def messages_of(request):
    return orjson.loads(request.body)["messages"]


def words_of(request):
    return sum(len(message["content"].split()) for message in messages_of(request))


def answered(text, *, prompt=None, response=None):
    return Answer(text=text, request_tokens=prompt, response_tokens=response)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 40)), min_size=1, max_size=12))
def test_the_whole_prompt_has_the_recorded_words_in_every_turn(turns):
    makes = composer()
    for number, (request, response) in enumerate(turns):
        one = shot(float(number), request=request, response=response)
        made = makes.compose(one, number)
        assert words_of(made) == request
        roles = [message["role"] for message in messages_of(made)]
        assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
        assert roles[-1] == "user"
        makes.answered(one, made, answered(" word" * response, prompt=request, response=response))


def test_a_growing_session_carries_its_turns_and_answers_word_by_word():
    makes = composer()
    first = makes.compose(shot(0, request=10), 0)
    makes.answered(shot(0, request=10), first, answered("so it is", prompt=10, response=3))
    second = makes.compose(shot(1, request=20), 1)
    assert messages_of(first) + [{"role": "assistant", "content": "so it is"}] == messages_of(second)[:2]
    assert len(messages_of(second)[2]["content"].split()) == 7
    other = makes.compose(shot(1, "another", request=20), 2)
    assert len(messages_of(other)) == 1


def test_where_the_recorded_count_falls_the_oldest_turns_are_dropped_until_it_fits():
    makes = composer()
    for number, request in enumerate((10, 30, 60)):
        made = makes.compose(shot(number, request=request), number)
        makes.answered(shot(number, request=request), made, answered("a b c d", prompt=request, response=4))
    whole = messages_of(makes.compose(shot(3, request=80), 3))
    # The session holds 10+4, 16+4 and 26+4 words; 35 leave room for the last turn and five new words.
    cut = messages_of(makes.compose(shot(3, request=35), 3))
    assert whole[4:6] == cut[:2]
    assert len(cut) == 3
    assert len(cut[2]["content"].split()) == 5
    assert len(messages_of(makes.compose(shot(3, request=30), 3))) == 1


def test_a_turn_without_an_answer_is_no_history_and_open_sessions_have_none():
    makes = composer()
    made = makes.compose(shot(0), 0)
    makes.answered(shot(0), made, answered(""))
    assert len(messages_of(makes.compose(shot(1, request=50), 1))) == 1
    alone = composer(histories=False)
    made = alone.compose(shot(0), 0)
    alone.answered(shot(0), made, answered("x y", prompt=10, response=2))
    assert len(messages_of(alone.compose(shot(1, request=50), 1))) == 1


def test_the_history_is_measured_by_what_the_server_counted():
    makes = composer()
    made = makes.compose(shot(0, request=10), 0)
    makes.answered(shot(0, request=10), made, answered("x y", prompt=25, response=9))  # it counts more than words
    assert words_of(makes.compose(shot(1, request=50), 1)) == 10 + 2 + (50 - 25 - 9)


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_the_body_says_how_long_the_answer_shall_be(endpoint):
    fields = orjson.loads(composer(endpoint=endpoint).compose(shot(0, request=12, response=9), 1).body)
    assert (9, 9, True, True) == tuple(fields[n] for n in ("max_tokens", "min_tokens", "ignore_eos", "stream"))
    assert fields["stream_options"] == {"include_usage": True}
    said = fields["messages"][0]["content"] if endpoint is Endpoint.CHAT else fields["prompt"]
    assert len(said.split()) == 12


def test_a_server_that_refuses_ignore_eos_is_not_told():
    makes = Composer(POOL, Sizing(), Form(ignore_eos=False), histories=False)
    assert not {"ignore_eos", "min_tokens"} & orjson.loads(makes.compose(shot(0), 1).body).keys()
