"""One service's state: lateness, classes, totals, silence, the ledger, and the messages that leave."""

import math

import orjson
import pytest

from collector.schema.codec import Batch
from collector.schema.errors import OperatorError
from collector.schema.events import API_LOG, Kind
from streams.processors import open_panes, ordered
from streams.processors.episodes import episode_message
from streams.processors.outputs import Episode, WindowRow, window_message
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.service_messages import (
    KEYS,
    SECOND,
    SERVICE,
    START,
    Agent,
    apply_all,
    arrival,
    completion,
)

ALL = ("all", "all")


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def fresh(**kwargs) -> tuple[ServiceState, Agent]:
    return ServiceState(SERVICE, AnalysisSettings(**kwargs)), Agent()


def steady(seconds: float, per_second: int = 10, key=KEYS[0], start: float = 0.05) -> list:
    return [arrival(at(start + i / per_second), key) for i in range(int(seconds * per_second))]


def test_a_window_leaves_when_the_watermark_passes_its_end_and_the_hold():
    """[0 ---- 10) hold 2 s: not at 11.9, at 12.0, and never again."""
    state, agent = fresh()
    assert apply_all(state, [agent.message(steady(10), watermark=at(11.9))]) == []
    rows = apply_all(state, [agent.message(watermark=at(12))])
    assert [(r.model, r.log_type, r.end) for r in rows] == [(*ALL, at(10)), (*KEYS[0], at(10))]
    assert rows[0].windows[10].arrivals == 100
    assert rows[0].windows[10].rate == 10
    assert apply_all(state, [agent.message(watermark=at(13))]) == []


def test_late_events_amend_counts_but_not_gaps_and_then_only_totals():
    state, agent = fresh()
    apply_all(state, [agent.message(steady(10), watermark=at(60))])
    # within the lateness: counted in later windows, too late for the order of arrivals
    apply_all(state, [agent.message([arrival(at(5.001))])])
    assert state.ledger.late == {"counts": 0, "ordered": 1}
    row = apply_all(state, [agent.message(watermark=at(72))])[-1]
    assert (row.windows[300].arrivals, row.windows[300].gaps) == (101, 99)
    # beyond it: totals only
    ended = [completion(at(6), outcome="failed", tokens=(5, 7))]
    apply_all(state, [agent.message([arrival(at(5.002))]), agent.message(ended)])
    assert state.ledger.late == {"counts": 2, "ordered": 2}
    row = apply_all(state, [agent.message(watermark=at(82))])[-1]
    assert (row.windows[300].arrivals, row.windows[300].completions) == (101, 0)
    totals = state.totals[KEYS[0]]
    assert (totals.arrivals, totals.completions, totals.request_tokens) == (102, {"failed": 1}, 5)


def test_a_late_event_amends_the_dispersion_exactly():
    """Squares of counts are not additive: the pane's seconds are kept as long as they can change."""
    state, agent = fresh(lateness_s=120)
    apply_all(state, [agent.message(steady(60), watermark=at(100))])
    row = apply_all(state, [agent.message([arrival(at(30.5)), arrival(at(30.6))]), agent.message(watermark=at(112))])[
        -1
    ]
    counts = [10] * 60 + [0] * 50  # [0 s, 110 s): before its first event the service was not known
    counts[30] += 2
    mean = sum(counts) / 110
    expected = sum((c - mean) ** 2 for c in counts) / 109 / mean
    assert row.end == at(110)
    assert math.isclose(expected, row.windows[300].dispersion_1s, rel_tol=1e-12)


def test_totals_are_exact_by_outcome_and_reason():
    state, agent = fresh()
    ended = [completion(at(1), tokens=(3, 4)) for _ in range(5)]
    ended += [completion(at(1), outcome="failed", reason="overloaded", tokens=(2**53 - 1, 0)) for _ in range(3)]
    ended += [completion(at(1), outcome="failed"), completion(at(1), outcome="cancelled", reason="client_disconnect")]
    apply_all(state, [agent.message(ended), agent.message([arrival(at(1), ("large", API_LOG))])])
    totals = state.totals[KEYS[0]]
    assert totals.completions == {"ok": 5, "failed": 4, "cancelled": 1}
    assert totals.failures == {"overloaded": 3, "unknown": 1}
    # one request's tokens are capped at 2^36: sums stay exact, and no engine has such a request
    assert (totals.request_tokens, totals.response_tokens) == (15 + 3 * 2**36, 20)
    assert state.totals[("large", API_LOG)].arrivals == 1


def test_classes_beyond_the_budget_count_as_other_and_a_missing_model_as_unknown():
    state, agent = fresh(classes_max=3)
    keys = [(None, API_LOG), *((f"m{i}", API_LOG) for i in range(6))]
    rows = apply_all(state, [agent.message([arrival(at(1), key) for key in keys], watermark=at(12))])
    assert list(state.totals) == [("m0", API_LOG), ("m1", API_LOG), ("m2", API_LOG), ("other", "other")]
    assert state.totals[("other", "other")].arrivals == 4
    counts = {(r.model, r.log_type): r.windows[10].arrivals for r in rows}
    assert counts == {ALL: 7, ("m0", API_LOG): 1, ("m1", API_LOG): 1, ("m2", API_LOG): 1, ("other", "other"): 4}
    assert list(state.latest) == list(counts)
    state, agent = fresh()
    apply_all(state, [agent.message([arrival(at(1), key) for key in keys])])
    assert state.totals[("unknown", API_LOG)].arrivals == 1


def test_many_classes_appearing_over_time_keep_their_own_numbers():
    """The arrays widen under way; earlier panes and gaps must stay where they belong."""
    state, agent = fresh()
    rows = []
    for i in range(40):
        events = [arrival(at(10 * i + j / 10 + 0.05), (f"m{c}", API_LOG)) for j in range(40) for c in range(i + 1)]
        rows = apply_all(state, [agent.message(events, watermark=at(10 * i + 12))])
    assert len(rows) == 41
    for row in rows[1:]:
        age = 40 - int(row.model[1:])
        assert row.windows[3600].arrivals == 40 * age
        assert row.windows[3600].gaps == 40 * age - 1
    assert rows[0].windows[3600].arrivals == 40 * 40 * 41 // 2


def test_rows_go_on_until_the_longest_window_is_empty_then_silence_is_skipped():
    """A year without traffic costs nothing; afterwards everything works as before."""
    state, agent = fresh()
    rows = apply_all(state, [agent.message(steady(10), watermark=at(12))])
    year = 365 * 86_400
    rows += apply_all(state, [agent.message(watermark=at(year))])
    assert [r.end for r in rows if r.model == "all"] == [at(10 * i) for i in range(1, 361)]
    assert state.latest == {}
    rows = apply_all(state, [agent.message(steady(10, start=year + 5), watermark=at(year + 32))])
    assert [r.end - at(year) for r in rows if r.model == "all"] == [10 * SECOND, 20 * SECOND, 30 * SECOND]
    assert rows[-1].windows[3600].arrivals == 100


def restarted(before: tuple, after: tuple) -> tuple[list, list]:
    """The last rows of an undisturbed run with windows ``after``, and of one with ``before`` for its first 200 s."""
    rows = []
    for windows in (after, before):
        state, agent = fresh(windows_s=windows)
        for second in range(20, 621, 20):
            if second == 220:
                state = ServiceState.restore(state.snapshot(), AnalysisSettings(windows_s=after))
            events = steady(20, 2, start=second - 20 + 0.05)
            ended = [completion(at(second - 3), outcome="failed", reason="timeout", submitted_at=at(second - 9))]
            found = apply_all(state, agent.flush(events, ended, at(second) - 1))
        rows.append(found)
    return rows[0], rows[1]


def test_after_a_restart_with_shorter_windows_all_goes_on_as_if_they_had_been_so_for_ever():
    undisturbed, changed = restarted((10, 60, 1200), (20, 120, 300))
    assert undisturbed == changed
    assert list(changed[0].windows) == [20, 120, 300]
    assert changed[0].windows[300].failures_by_reason == {"timeout": 15}


def test_after_a_restart_with_longer_windows_these_cover_what_had_been_kept():
    undisturbed, changed = restarted((10, 60), (30, 60, 3600))
    for ours, theirs in zip(changed, undisturbed, strict=True):
        assert (ours.windows[30], ours.windows[60]) == (theirs.windows[30], theirs.windows[60])
    assert (changed[0].windows[3600].covered_s, undisturbed[0].windows[3600].covered_s) == (470, 600)
    assert changed[0].windows[3600].rate == pytest.approx(2)


def test_a_watermark_at_the_end_of_time_is_survived():
    state, agent = fresh()
    assert len(apply_all(state, [agent.message(steady(10), watermark=253_402_300_800_000_000)])) == 720
    assert state.ledger.watermark == 253_402_300_800_000_000


def test_zero_gaps_are_estimated_by_moments():
    state, agent = fresh()
    stamps = [arrival(at(i // 3 + i % 3 + 0.25), KEYS[0]) for i in range(150)]
    apply_all(state, [agent.message(sorted(stamps, key=lambda a: a.submitted_at), watermark=at(62))])
    stats = state.latest[ALL].windows[60]
    assert stats.gamma_method == "moment"
    assert math.isclose(stats.gamma_shape, 1 / stats.cv**2, rel_tol=1e-12)
    seconds = 51  # from the first stamp at 0 s to the last at 51 s
    assert math.isclose(stats.gamma_rate, stats.gamma_shape * stats.gaps / seconds, rel_tol=1e-12)
    state, agent = fresh()
    apply_all(state, [agent.message([arrival(at(i * i / 90)) for i in range(73)], watermark=at(62))])
    assert state.latest[ALL].windows[60].gamma_method == "ye_chen"


def test_the_last_microsecond_belongs_to_the_window_that_ends_after_it():
    state, agent = fresh()
    events = [*steady(9), arrival(at(10) - 1), arrival(at(10))]
    rows = apply_all(state, [agent.message(events, watermark=at(12))])
    assert (rows[0].windows[10].arrivals, rows[0].windows[10].gaps) == (91, 90)
    rows = apply_all(state, [agent.message(watermark=at(22))])
    assert (rows[0].windows[10].arrivals, rows[0].windows[60].gaps) == (1, 91)


def test_too_little_data_is_none_not_zero():
    state, agent = fresh()
    apply_all(state, [agent.message(steady(3), watermark=at(12))])
    short = state.latest[ALL].windows[10]
    assert (short.gaps, short.cv, short.gamma_shape, short.gamma_rate, short.gamma_method) == (29, *[None] * 4)
    assert (short.dispersion_1s, short.dispersion_10s, short.failure_ratio) == (None, None, None)
    apply_all(state, [agent.message(watermark=at(292))])
    assert (state.latest[ALL].windows[300].dispersion_1s > 0, state.latest[ALL].windows[300].dispersion_10s) == (
        1,
        None,
    )
    apply_all(state, [agent.message(watermark=at(302))])
    assert state.latest[ALL].windows[300].dispersion_10s > 0


def test_time_before_the_first_event_is_not_silence():
    state, agent = fresh()
    apply_all(state, [agent.message(steady(20, start=5.05), watermark=at(32))])
    assert [(w.covered_s, w.arrivals, w.rate) for w in state.latest[ALL].windows.values()] == [
        (10, 50, 5.0),
        *[(30, 200, 200 / 30)] * 4,
    ]
    apply_all(state, [agent.message(watermark=at(312))])
    assert (state.latest[ALL].windows[300].covered_s, state.latest[ALL].windows[1200].covered_s) == (300, 310)


def test_a_cancelled_request_is_a_completion_but_no_failure():
    state, agent = fresh()
    ended = [completion(at(1), outcome=o) for o in ("ok", "failed", "cancelled", "ok")]
    apply_all(state, [agent.message(ended), agent.message(watermark=at(12))])
    stats = state.latest[ALL].windows[10]
    assert (stats.completions, stats.failures, stats.failure_ratio) == (4, 1, 0.25)
    assert stats.failure_ratio_lower < 0.25 < stats.failure_ratio_upper


def test_the_detector_sees_each_second_at_the_watermark_without_the_hold():
    state, agent = fresh()
    apply_all(state, [agent.message(steady(600, 5), watermark=at(600))])
    burst = [arrival(at(600 + i / 200)) for i in range(200)]
    found = apply_all(state, [agent.message(burst, watermark=at(601))])
    (onset,) = [e for e in found if isinstance(e, Episode)]
    assert (onset.state, onset.onset, onset.detected) == ("onset", at(600), at(601))
    assert state.burst.active
    assert state.burst.episodes_total == 1
    later = apply_all(state, [agent.message(steady(100, 5, start=601.05), watermark=at(700))])
    (end,) = [e for e in later if isinstance(e, Episode)]
    assert (end.state, end.onset) == ("end", at(600))
    message = episode_message(end)
    assert message["id"] == f"{SERVICE}|burst|{at(600)}" == episode_message(onset)["id"]
    assert set(message) == {"v", "id", "kind", "state", "service", "onset", "detected", "end", "baseline_rate",
                            "peak_rate", "peak_z", "arrivals", "excess", "window_s"}  # fmt: skip
    assert orjson.loads(orjson.dumps(message)) == message


def test_bursts_and_rows_come_in_the_same_order_whatever_the_cut():
    """Fed second by second or in one piece: one sequence of outputs, by event time."""
    events = steady(600, 5) + [arrival(at(600 + i / 100)) for i in range(2000)] + steady(180, 5, start=620.05)
    one, agent = fresh()
    whole = apply_all(one, [agent.message(events, watermark=at(802))])
    many, agent = fresh()
    cuts = [[e for e in events if at(s) <= e.submitted_at < at(s + 1)] for s in range(802)]
    pieces = apply_all(many, [agent.message(cut, watermark=at(s + 1) - 1) for s, cut in enumerate(cuts)])
    pieces += apply_all(many, [agent.message(watermark=at(802))])
    assert whole == pieces
    states = [e.state for e in whole if isinstance(e, Episode)]
    assert states == ["onset", "end"]
    place = [i for i, e in enumerate(whole) if isinstance(e, Episode)]
    assert 0 < place[0] < place[1] < len(whole) - 1


def test_an_arrival_at_the_settled_instant_is_late_one_after_it_is_not():
    """The promise includes its instant: "every event up to this time has been sent"."""
    state, agent = fresh()
    apply_all(state, [agent.message(steady(3), watermark=at(5))])
    apply_all(state, [agent.message([arrival(at(3)), arrival(at(3) + 1)])])
    assert state.ledger.late == {"counts": 0, "ordered": 1}


def test_a_window_message_is_the_wire_contract():
    state, agent = fresh()
    row = apply_all(state, [agent.message(steady(10), watermark=at(12))])[1]
    message = window_message(row)
    assert message["id"] == f"{SERVICE}|small|API log|{at(10)}"
    assert list(message) == ["v", "id", "service", "model", "log_type", "end", "windows", "memory"]
    assert list(message["windows"]) == ["10", "60", "300", "1200", "3600"]
    assert set(message["windows"]["10"]) == {
        *("arrivals", "covered_s", "rate", "gaps", "cv", "gamma_shape", "gamma_shape_lower", "gamma_shape_upper"),
        *("gamma_rate", "gamma_method", "burstiness", "memory", "misfit", "dispersion_100ms", "dispersion_1s"),
        *("dispersion_1s_lower", "dispersion_1s_upper", "dispersion_10s", "allan_100ms", "allan_1s", "allan_10s"),
        *("peak_to_mean", "peak_z", "completions", "failures", "failures_by_reason", "failure_ratio"),
        *("failure_ratio_lower", "failure_ratio_upper", "failure_ratio_jeffreys_lower"),
        *("failure_ratio_jeffreys_upper", "concurrency", "request_tokens", "response_tokens", "percentiles"),
    }
    assert orjson.loads(orjson.dumps(message)) == message


def test_the_ledger_accounts_for_every_message():
    state, agent = fresh()
    one, lost, two = (agent.message(steady(1), watermark=at(i), dropped=i) for i in (1, 2, 3))
    readings = Batch(agent="agent", boot="boot-1", key=SERVICE, seq=3, kind=Kind.RESOURCE, n=0)
    apply_all(state, [one, two, two, readings], offset=5)
    state.apply(one, 7)
    assert state.offset == 8
    ledger = state.ledger
    assert (ledger.messages, ledger.duplicates, ledger.replayed) == (4, 1, 1)
    assert (ledger.missing, ledger.dropped_by_agents, ledger.agents) == (1, 3, 1)
    assert ledger.watermark == at(1)  # the promise above the gap waits
    state.apply(lost, 9)
    assert (state.ledger.missing, state.ledger.watermark) == (0, at(3))


def test_what_lies_far_ahead_is_bounded_and_counted(monkeypatch):
    monkeypatch.setattr(open_panes, "OPEN_PANES_MAX", 5)
    state, agent = fresh()
    apply_all(state, [agent.message([arrival(at(10 * i)) for i in range(9)])])
    assert state.ledger.future == 4
    assert state.totals[KEYS[0]].arrivals == 9
    apply_all(state, [agent.message(watermark=at(102))])
    assert (state.latest[ALL].windows[300].arrivals, state.latest[ALL].windows[300].gaps) == (5, 4)


def test_an_agent_that_never_promises_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr(ordered, "PENDING_MAX", 50)
    state, agent = fresh()
    apply_all(state, [agent.message(steady(1)) for _ in range(10)])
    assert state.ledger.future == 50
    assert state.totals[KEYS[0]].arrivals == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"windows_s": ()},
        {"windows_s": (60, 10)},
        {"windows_s": (15,)},
        {"windows_s": (10, 7200)},
        {"hold_s": 90},
        {"gaps_min": 1},
        {"burst_threshold": 1.0},
        {"burst_threshold": float("nan")},
        {"burst_threshold": float("inf")},
        {"burst_tolerance": float("nan")},
        {"detector": "guess"},
        {"burst_profile_days": 8},
        {"classes_max": 0},
        {"classes_max": 70_000},
    ],
)
def test_settings_that_contradict_each_other_are_the_operators_to_mend(wrong):
    with pytest.raises(OperatorError):
        AnalysisSettings(**wrong)


def test_rows_are_frozen_values():
    state, agent = fresh()
    row = apply_all(state, [agent.message(steady(10), watermark=at(12))])[0]
    assert isinstance(row, WindowRow)
    with pytest.raises(AttributeError):
        row.end = 0


def test_requests_submitted_at_the_epochs_beginning_do_not_outgrow_the_snapshot():
    state, agent = fresh()
    for offset in range(12):
        state.apply(agent.message([completion(at(1), submitted_at=0) for _ in range(1000)], watermark=at(1)), offset)
    assert ServiceState.restore(state.snapshot(), state.settings).snapshot() == state.snapshot()
    took = state.sketches.distribution("request_duration_s", range(-4, 11))
    assert took.count == 12_000
    assert took.sum == pytest.approx(12_000 * 2**36 / 1e6)
