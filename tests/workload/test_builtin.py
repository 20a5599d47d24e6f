"""The built-in workload: same seed, same file; the published statistics; bursts that are really there."""

import numpy as np
import pytest

from burstwatch.cli import main
from collector.schema.events import API_LOG, CONVERSATION_LOG
from collector.schema.trace_rows import BURSTGPT_8, read_rows
from workload import builtin

DURATION_S = 3600.0


@pytest.fixture(scope="module")
def hour():
    return builtin.generate(np.random.default_rng(3), duration_s=DURATION_S)


def times_s(rows, log_type):
    return np.array([row.submitted_us / 1e6 for row in rows if row.log_type == log_type])


def in_bursts(times, bursts):
    inside = np.zeros(len(times), bool)
    for burst in bursts:
        inside |= (times >= burst.start_s) & (times < burst.start_s + burst.duration_s)
    return inside


def test_another_seed_gives_other_rows(hour):
    """The same seed gives the same bytes: ``test_generate_cli`` knows them."""
    other = builtin.generate(np.random.default_rng(4), duration_s=60.0).rows
    assert other[:50] != hour.rows[:50]


def test_rows_are_in_order_inside_the_trace_and_complete(hour):
    at = [row.submitted_us for row in hour.rows]
    assert at == sorted(at)
    assert 0 <= at[0]
    assert at[-1] < DURATION_S * 1e6
    for row in hour.rows:
        assert 1 <= row.request_tokens <= builtin.REQUEST_TOKENS_MAX
        assert row.response_tokens >= 1
        assert (row.session is not None) == (row.log_type == CONVERSATION_LOG)


def test_the_base_rate_is_what_was_asked_for(hour):
    api = times_s(hour.rows, API_LOG)
    quiet_s = DURATION_S - sum(b.duration_s for b in hour.bursts if b.start_s + b.duration_s <= DURATION_S)
    rate = np.count_nonzero(~in_bursts(api, hour.bursts)) / quiet_s
    assert rate == pytest.approx(builtin.RATE_PER_S * (1 - builtin.CONVERSATION_SHARE), rel=0.05)
    conversation = len(times_s(hour.rows, CONVERSATION_LOG)) / DURATION_S
    assert conversation == pytest.approx(builtin.RATE_PER_S * builtin.CONVERSATION_SHARE, rel=0.2)


def test_bursts_come_after_a_quiet_start_and_multiply_the_rate(hour):
    api = times_s(hour.rows, API_LOG)
    base = builtin.RATE_PER_S * (1 - builtin.CONVERSATION_SHARE)
    assert hour.bursts[0].start_s >= 40.0
    starts = [burst.start_s for burst in hour.bursts]
    assert 50.0 < np.mean(np.diff(starts)) < 95.0
    for burst in hour.bursts[:-1]:
        expected = base * burst.factor * burst.duration_s
        count = np.count_nonzero(in_bursts(api, [burst]))
        assert abs(count - expected) < 5 * np.sqrt(expected / builtin.API_GAMMA_SHAPE)


def test_api_gaps_are_bursty_outside_bursts_and_conversations_nearly_poisson(hour):
    api = times_s(hour.rows, API_LOG)
    gaps = np.diff(api)[~in_bursts(api[1:], hour.bursts)]
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1 / np.sqrt(builtin.API_GAMMA_SHAPE), rel=0.1)
    talk = np.diff(times_s(hour.rows, CONVERSATION_LOG))
    assert np.std(talk) / np.mean(talk) == pytest.approx(1.0, abs=0.1)


def test_a_gamma_stream_without_bursts_has_the_asked_shape():
    times = builtin.api_arrivals(np.random.default_rng(0), duration_s=20_000.0, rate_per_s=5.0, bursts=())
    gaps = np.diff(times)
    assert len(times) == pytest.approx(100_000, rel=0.02)
    assert np.mean(gaps) ** 2 / np.var(gaps) == pytest.approx(builtin.API_GAMMA_SHAPE, rel=0.05)


@pytest.mark.parametrize(
    ("quantiles", "mean", "p50", "p90", "p99"),
    [
        (builtin.API_REQUEST_TOKENS, 457, 326, 794, 3141),
        (builtin.API_RESPONSE_TOKENS, 68.9, 14, 111, 804),
        (builtin.CONVERSATION_RESPONSE_TOKENS, 272, 187, 669, 1067),
    ],
)
def test_lengths_meet_the_published_quantiles_and_mean(quantiles, mean, p50, p90, p99):
    tokens = builtin.draw_tokens(np.random.default_rng(0), 400_000, quantiles)
    assert np.mean(tokens) == pytest.approx(mean, rel=0.06)
    assert np.percentile(tokens, [50, 90, 99]) == pytest.approx([p50, p90, p99], rel=0.05)


def test_sessions_have_the_published_number_of_turns():
    chances = builtin.turn_chances()
    assert chances.sum() == pytest.approx(1.0)
    assert chances @ np.arange(1, len(chances) + 1) == pytest.approx(4.18, rel=0.1)


def test_conversations_ask_with_the_published_mean_and_share_of_gpt4(hour):
    rows = [row for row in hour.rows if row.log_type == CONVERSATION_LOG]
    assert np.mean([row.request_tokens for row in rows]) == pytest.approx(953, rel=0.25)
    api = [row for row in hour.rows if row.log_type == API_LOG]
    assert np.mean([row.model == "GPT-4" for row in api]) == pytest.approx(0.144, abs=0.01)


def test_the_command_writes_a_file_the_schema_reads_back_row_for_row(tmp_path, capsys):
    out = tmp_path / "trace.csv"
    assert main(["workload", "generate", "--seed", "4", "--duration-s", "90", "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        header, rows = read_rows(file)
        expected = builtin.generate(np.random.default_rng(4), duration_s=90.0).rows
        assert tuple(rows) == expected
    assert header.columns == BURSTGPT_8
    assert f'"rows": {len(expected)}' in capsys.readouterr().err


def test_an_unwritable_file_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main(["workload", "generate", "--out", str(tmp_path / "no" / "dir.csv")]) == 2
    assert capsys.readouterr().err.startswith("burstwatch workload: cannot write --out")
