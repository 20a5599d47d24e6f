"""The analysis as a whole: any trace, sums that add up, sections against loops over rows."""

import json
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats.wilson import wilson_bounds
from workload.analyse.analysis import Options, analyse
from workload.analyse.compare import compare
from workload.trace.columns import Labels, Trace

HOUR, DAY = 3600, 86_400


def trace_of(rows, step=1_000_000, *, absolute=False):
    """Rows are (time in steps, request, response, outcome, model, log type, session, elapsed)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    time, request, response, outcome, model, log_type, session, elapsed = columns
    return Trace.build(
        np.array(time, np.int64) * step,
        request_tokens=np.array(request, np.int32),
        response_tokens=np.array(response, np.int32),
        outcome=np.array(outcome, np.int8),
        elapsed_us=np.array([-1 if e < 0 else e * 1_000_000 for e in elapsed], np.int64),
        model=Labels.of(model),
        log_type=Labels.of(log_type),
        session=Labels.of(session),
        absolute=absolute,
    )


rows_of_any_kind = st.lists(
    st.tuples(
        st.integers(0, 9000),
        st.integers(-1, 3000),
        st.integers(-1, 500),
        st.integers(0, 2),
        st.sampled_from([None, "GPT-4", "ChatGPT"]),
        st.sampled_from([None, "API log", "Conversation log"]),
        st.sampled_from([None, "a", "b", "c"]),
        st.integers(-1, 50),
    ),
    max_size=120,
)


@settings(max_examples=15, deadline=None)
@given(rows_of_any_kind, st.sampled_from([1, 1000, 1_000_000]), st.booleans())
def test_any_trace_is_analysed_and_its_numbers_add_up(rows, step, absolute):
    trace = trace_of(rows, step, absolute=absolute)
    found = analyse(trace, Options(threads=1, window_s=600))
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    n = len(rows)
    assert told["file"]["rows"] == told["rate"]["n"] == sum(told["file"]["outcomes"].values()) == n
    assert sum(told["burstiness"]["windows"]["n"]) == n
    assert sum(told["failures"]["over_time"]["n"]) == told["failures"]["n"]
    assert sum(told["failures"]["over_time"]["failed"]) == told["failures"]["failed"] == sum(r[3] == 1 for r in rows)
    assert told["failures"]["n"] + told["failures"]["cancelled"] == n
    windows = told["burstiness"]["windows"]
    rateless = sum(n for n, rate in zip(windows["n"], windows["rate_per_s"], strict=True) if rate is None)
    assert 0 <= told["failures"]["n"] - sum(told["failures"]["by_load"]["n"]) <= rateless
    assert sum(told["failures"]["by_model"]["n"]) == sum(r[3] != 2 and r[4] is not None for r in rows)
    assert told["lengths"]["request"]["n"] == sum(r[3] != 1 and r[1] >= 0 for r in rows)
    assert told["sessions"]["requests"] == sum(r[6] is not None for r in rows)
    types = [c for c in told["classes"] if c["model"] is None]
    for one in told["classes"]:
        mine = [r for r in rows if r[5] == one["log_type"] and (one["model"] is None or r[4] == one["model"])]
        assert one["n"] == len(mine) == one["rate"]["n"]
        assert one["failed"] == sum(r[3] == 1 for r in mine)
        assert one["lengths"]["response"]["n"] == sum(r[3] != 1 and r[2] >= 0 for r in mine)
        assert one["relation"]["n"] == sum(r[3] == 0 and r[1] > 0 and r[2] > 0 for r in mine)
    assert not types or sum(one["n"] for one in types) == sum(r[5] is not None for r in rows)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(5, 1, 1, 0, None, None, None, -1)],
        [(5, 1, 1, 0, "m", "API log", "s", 1)] * 200,
        [(t, -1, -1, 0, None, None, None, -1) for t in range(100)],
    ],
    ids=["empty", "one row", "all at one time", "no tokens"],
)
def test_what_cannot_be_known_is_none(rows):
    told = analyse(trace_of(rows)).as_dict()
    if len({r[0] for r in rows}) < 2:
        assert told["rate"]["mean_per_s"] is told["burstiness"]["overall"]["cv"] is told["bursts"]["per_day"] is None
        assert told["burstiness"]["quantiles"]["cv"] == {}
    if not rows or rows[0][1] < 0:
        assert told["lengths"]["request"]["mean"] is told["relation"]["pearson"] is None
    assert told["failures"]["ratio"] == (0 if rows else None)
    assert told["rate"]["week_autocorrelation"] is None


def test_the_order_of_rows_and_the_number_of_threads_do_not_matter():
    rng = np.random.default_rng(0)
    kinds = rng.choice(["API log", "Conversation log"], 1500)
    rows = [
        (int(t), int(rng.integers(1, 900)), int(rng.integers(0, 90)), int(rng.random() < 0.1), "m", kind, None, 3)
        for t, kind in zip(rng.integers(0, 40_000, 1500), kinds, strict=True)
    ]
    rows.sort(key=lambda row: row[0])
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    same = [(r[0], *min(rows)[1:3], 0, "m", "API log", None, 3) for r in rows]
    one = analyse(trace_of(rows), Options(threads=1)).as_dict()
    assert one == analyse(trace_of(rows), Options(threads=2)).as_dict()
    assert one["lengths"] == analyse(trace_of(mixed)).as_dict()["lengths"]
    assert one["burstiness"]["overall"] == analyse(trace_of(same)).as_dict()["burstiness"]["overall"]


def test_progress_is_told_part_by_part():
    told = []
    analyse(trace_of([(t, 1, 1, 0, None, None, None, 1) for t in range(50)]), progress=lambda a, b: told.append((a, b)))
    assert [a for a, _ in told] == list(range(1, len(told) + 1))
    assert {b for _, b in told} == {len(told)}


@given(st.lists(st.integers(0, 20 * DAY), min_size=2, max_size=60), st.booleans())
@settings(max_examples=15, deadline=None)
def test_hours_and_weekdays_are_those_of_the_clock(seconds, absolute):
    trace = trace_of([(t, 1, 1, 0, None, None, None, 1) for t in sorted(seconds)], absolute=absolute)
    rate = analyse(trace, Options(bursts=False, threads=1)).rate
    low, high = min(seconds), max(seconds)
    if low == high:
        assert rate.hour_of_day == [None] * 24
        return
    shift = 3 if absolute else 2  # 1970-01-01 was a Thursday, BurstGPT's first day is taken for a Wednesday
    hours, weekdays = Counter(t // HOUR % 24 for t in seconds), Counter((t // DAY + shift) % 7 for t in seconds)
    covered, week = defaultdict(int), defaultdict(int)
    for hour in range(low // HOUR, high // HOUR + 1):
        inside = min(high, (hour + 1) * HOUR) - max(low, hour * HOUR)
        covered[hour % 24] += inside
        week[(hour // 24 + shift) % 7] += inside
    for h in range(24):
        expected = hours[h] / covered[h] if covered[h] >= 1 else None
        assert rate.hour_of_day[h] == (None if expected is None else pytest.approx(expected))
    for d in range(7):
        assert rate.weekday[d] == (pytest.approx(weekdays[d] / week[d]) if week[d] >= 1 else None)
    assert np.asarray(rate.series["per_s"]).sum() * rate.series_step_s == pytest.approx(len(seconds))
    assert len(rate.series["per_s"]) <= 2000


@settings(max_examples=15)
@given(st.lists(st.integers(0, 50), max_size=30))
def test_rows_out_of_order_are_counted_and_everything_else_is_of_the_sorted_trace(seconds):
    trace = trace_of([(t, 1, 1, 0, None, None, None, 1) for t in seconds])
    found = analyse(trace, Options(threads=1, bursts=False)).as_dict()
    steps = [above - below for above, below in pairwise(seconds) if below < above]
    told = found["file"]
    assert (told.pop("steps_back"), told.pop("step_back_max_s")) == (len(steps), max(steps, default=0))
    in_order = analyse(trace.sorted_by_time(), Options(threads=1, bursts=False)).as_dict()
    assert (in_order["file"].pop("steps_back"), in_order["file"].pop("step_back_max_s")) == (0, 0)
    assert found == in_order


def test_a_daily_wave_shows_in_the_autocorrelation_and_the_hours():
    rng = np.random.default_rng(4)
    hours = np.arange(24 * 21)
    per_hour = rng.poisson(60 * (1.2 + np.sin((hours % 24 - 9) / 24 * 2 * np.pi)))
    times = np.sort(np.concatenate([h * HOUR + rng.integers(0, HOUR, n) for h, n in zip(hours, per_hour, strict=True)]))
    rate = analyse(trace_of([(int(t), 1, 1, 0, None, None, None, 1) for t in times]), Options(bursts=False)).rate
    assert rate.peak_hour in {14, 15, 16}
    assert rate.trough_hour in {2, 3, 4}
    assert rate.day_autocorrelation > 0.8
    assert rate.week_autocorrelation > 0.5
    lag = rate.autocorrelation["lag_h"].tolist().index(12)
    assert rate.autocorrelation["value"][lag] < -0.7


@pytest.mark.parametrize(("start_s", "span_s", "told"), [(600, 3420, False), (0, 80_000, False), (5000, 86_400, True)])
def test_the_busiest_hour_of_the_day_needs_a_day(start_s, span_s, told):
    times = start_s + np.cumsum(np.tile([10, 20, 60], span_s // 90))
    rate = analyse(Trace.build(times * 1_000_000), Options(bursts=False)).rate
    facts = (rate.peak_hour, rate.trough_hour, rate.peak_over_trough, rate.peak_over_mean)
    assert [fact is not None for fact in facts] == [told] * 4
    assert rate.mean_per_s == pytest.approx(1 / 30, rel=0.1)


def test_the_weekday_is_not_told_where_it_is_not_known():
    rows = [(t * HOUR, 1, 1, 0, None, None, None, 1) for t in range(100)]
    found = analyse(trace_of(rows), Options(day_zero_weekday=None, bursts=False))
    assert found.rate.weekday == [None] * 7
    assert "weekday is not known" in found.file.origin
    assert "Wednesday" in analyse(trace_of(rows), Options(bursts=False)).file.origin


@settings(max_examples=15, deadline=None)
@given(rows_of_any_kind)
def test_sessions_are_those_of_a_loop(rows):
    rows = sorted(rows, key=lambda row: row[0])
    found = analyse(trace_of(rows), Options(bursts=False, threads=1)).sessions
    by_session = defaultdict(list)
    for row in rows:
        if row[6] is not None:
            by_session[row[6]].append(row)
    turns = [len(s) for s in by_session.values()]
    pairs = [(a, b) for s in by_session.values() for a, b in pairwise(s)]
    thinks = [b[0] - a[0] - a[7] for a, b in pairs if a[7] >= 0]
    growth = [b[1] - a[1] for a, b in pairs if a[1] > 0 and b[1] > 0]
    assert (found.sessions, found.requests) == (len(by_session), sum(turns))
    assert found.turns_pmf[: max(turns, default=0)] == pytest.approx(
        [turns.count(k) / len(turns) for k in range(1, min(max(turns, default=0), 20) + 1)]
    )
    assert found.gap_s.n == len(pairs)
    assert found.think_s.n == sum(t >= 0 for t in thinks)
    assert found.overlapping == sum(t < 0 for t in thinks)
    if found.think_s.n:
        assert found.think_s.quantiles["p50"] == pytest.approx(np.median([t for t in thinks if t >= 0]))
    assert found.shrinks_ratio == (pytest.approx(np.mean([g < 0 for g in growth])) if growth else None)
    assert found.growth_tokens.get("p50") == (pytest.approx(np.median(growth)) if growth else None)


def test_failures_rise_with_load_where_they_do():
    rng = np.random.default_rng(8)
    rows = []
    for window in range(60):
        n = 50 + 10 * window
        for t in np.sort(rng.integers(window * 1200, (window + 1) * 1200, n)):
            rows.append((int(t), 10, 5, int(rng.random() < window / 200), "m", None, None, 1))
    found = analyse(trace_of(rows), Options(bursts=False)).failures
    assert found.rate_correlation > 0.9
    by_load = found.by_load
    assert by_load["ratio"][-1] > 3 * by_load["ratio"][0]
    for n, k, lower, upper in zip(by_load["n"], by_load["failed"], by_load["lower"], by_load["upper"], strict=True):
        assert (lower, upper) == pytest.approx(wilson_bounds(int(k), int(n)))
    assert np.all(np.asarray(by_load["from_per_s"])[1:] == np.asarray(by_load["to_per_s"])[:-1])


def test_reasons_and_cancelled_requests_are_kept_apart():
    trace = Trace.build(
        np.arange(6) * 1_000_000,
        outcome=np.array([0, 1, 1, 1, 2, 0], np.int8),
        reason=Labels.of([None, "kv", "kv", None, "client", None]),
    )
    found = analyse(trace).failures
    assert (found.n, found.failed, found.cancelled, found.ratio) == (5, 3, 1, 0.6)
    assert (found.by_reason["name"], found.by_reason["failed"].tolist()) == (["kv"], [2])
    assert found.by_reason["share"].tolist() == pytest.approx([2 / 3])


def test_a_trace_does_not_differ_from_itself_and_one_twice_as_fast_does():
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.gamma(0.5, 4.0, 5000))
    request, response = rng.integers(1, 900, 5000), rng.integers(1, 300, 5000)
    kinds = rng.choice(["API log", "Conversation log"], 5000)
    columns = zip(times, request, response, kinds, strict=True)
    rows = [(int(t * 1000), int(q), int(r), 0, "m", kind, None, 1) for t, q, r, kind in columns]
    a = trace_of(rows, 1000)
    b = trace_of([(r[0] // 2, r[1], 2 * r[2], *r[3:]) for r in rows], 1000)
    same, other = compare(a, a), compare(a, b)
    for one in (same.all, *same.classes):
        assert all(d.ks in {0.0, None} and d.p_value in {1.0, None} for d in one.differences.values())
        assert all(r.ratio == pytest.approx(1) for r in one.numbers.values() if r.ratio is not None)
    assert len(same.classes) == 2
    assert other.all.numbers["rate_per_s"].ratio == pytest.approx(2, rel=0.01)
    assert other.all.numbers["cv"].ratio == pytest.approx(1, abs=0.02)
    assert other.all.differences["request_tokens"].ks == 0
    assert other.all.differences["response_tokens"].ks > 0.3
    np.testing.assert_allclose(other.all.differences["response_tokens"].quantiles["b_over_a"], 2, rtol=0.01)
    json.dumps(other.as_dict(), allow_nan=False)
    assert compare(a, trace_of([])).only_a == ("API log · m", "Conversation log · m")
