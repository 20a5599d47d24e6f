"""Real traces through agent -> broker -> worker -> capture: exactly once, and equal to brute force."""

import csv
import json
import math
import re
from dataclasses import replace

import pytest

from collector.schema.trace_rows import BURSTGPT_8, read_rows
from tests.support import brute_force
from tests.support.brute_force import Ended
from tests.support.pipeline import AZURE, BURSTGPT, Pipeline, generated_trace, run_cli

pytestmark = pytest.mark.kafka

DAY_US = 86_400_000_000


def _input_rows(path):
    with path.open(newline="", encoding="utf-8") as lines:
        header, rows = read_rows(lines)
        return header, list(rows)


def _exported(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(read_rows(lines)[1])


@pytest.fixture
def pipeline(tmp_path, kafka, request):
    made = []

    def make(trace, **options) -> Pipeline:
        if not trace.exists():
            pytest.skip(f"real trace not here: {trace}")
        pipe = Pipeline(
            tmp_path / "p", kafka, trace, service=re.sub(r"\W+", "-", request.node.name)[-40:].strip("-"), **options
        )
        made.append(pipe)
        return pipe

    yield make
    for pipe in made:
        pipe.stop()


def test_azure_rows_come_out_exactly_once_and_windows_equal_brute_force(pipeline, tmp_path):
    pipe = pipeline(AZURE)
    pipe.start()
    result = pipe.finish()
    header, rows = _input_rows(AZURE)
    first_day_us = rows[0].submitted_us // DAY_US * DAY_US
    exported = _exported(pipe.folder / "trace.csv")
    assert [(r.submitted_us - first_day_us, r.request_tokens, r.response_tokens) for r in rows] == [
        (r.submitted_us, r.request_tokens, r.response_tokens) for r in exported
    ]
    assert result.manifest["rows"]["total"] == len(rows) == 8819
    assert tuple(result.rows[0]) == BURSTGPT_8
    _assert_windows_equal(result, rows)
    _assert_offline_is_the_same(pipe, result)


def test_our_own_trace_comes_out_whole_and_windows_equal_brute_force(pipeline, tmp_path):
    path = generated_trace(tmp_path)
    pipe = pipeline(path)
    pipe.start()
    result = pipe.finish()
    _, rows = _input_rows(path)
    assert rows == _exported(pipe.folder / "trace.csv")
    assert any(row.failed for row in rows)
    origin_us = 1_698_796_800_000_000  # 2023-11-01T00:00:00Z, the default origin of relative traces
    shifted = [replace(row, submitted_us=row.submitted_us + origin_us) for row in rows]
    _assert_windows_equal(result, shifted, rows_min=80)
    assert result.episodes
    _assert_offline_is_the_same(pipe, result)


def _assert_offline_is_the_same(pipe, result):
    """`burstwatch analyze --json` prints the very messages of llm.windows and llm.episodes."""
    done = run_cli("analyze", str(pipe.trace), "--service", pipe.service, "--json")
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert result.windows == {m["id"]: m for m in printed if "windows" in m}
    assert result.episodes == {(m["id"], m["state"]): m for m in printed if "windows" not in m}


def _assert_windows_equal(result, rows, rows_min=300):
    """Every row of the service total, every window, every number: as worked out the slow way from the file."""
    arrivals = [(row.submitted_us, ("m", "l")) for row in rows]
    ended = [
        Ended(  # neither trace knows the elapsed time: a completion counts at its submission
            row.submitted_us, ("m", "l"), "failed" if row.failed else "ok", row.request_tokens, row.response_tokens
        )
        for row in rows
    ]
    expected = brute_force.rows(arrivals, ended, rows[-1].submitted_us + 15_000_000)
    wanted = {end: windows for (end, key), windows in expected.items() if key == brute_force.ALL}
    ours = {row["end"]: row["windows"] for row in result.windows.values() if row["model"] == "all"}
    assert sorted(wanted) == sorted(ours)
    assert len(ours) > rows_min
    for end, windows in wanted.items():
        for window_s, numbers in windows.items():
            for name, value in numbers.items():
                have = ours[end][str(window_s)][name]
                if isinstance(value, float):
                    assert have is not None, (end, window_s, name)
                    assert math.isclose(have, value, rel_tol=1e-9, abs_tol=1e-12), (end, window_s, name, have, value)
                else:
                    assert have == value, (end, window_s, name)


@pytest.mark.parametrize(
    "name",
    [
        "burstgpt1_first30_rows.csv",
        "burstgpt3_first4_rows_verbatim.csv",
        "burstgpt3_conv_first314_v2schema_partial.csv",
    ],
)
def test_burstgpt_rows_come_out_equal_row_for_row(pipeline, name):
    path = BURSTGPT / name
    pipe = pipeline(path)
    pipe.start()
    result = pipe.finish()
    _, rows = _input_rows(path)
    shift = 0 if name.startswith("burstgpt1") else rows[0].submitted_us // DAY_US * DAY_US
    exported = _exported(pipe.folder / "trace.csv")
    assert [
        (r.submitted_us - shift, r.session, r.elapsed_us, r.model, r.request_tokens, r.response_tokens, r.log_type)
        for r in rows
    ] == [
        (r.submitted_us, r.session, r.elapsed_us, r.model, r.request_tokens, r.response_tokens, r.log_type)
        for r in exported
    ]
    assert result.manifest["rows"]["total"] == len(rows)


def test_counters_equal_what_the_file_says(pipeline):
    path = BURSTGPT / "burstgpt1_first30_rows.csv"
    pipe = pipeline(path)
    pipe.start()
    result = pipe.finish()
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))

    def total(name, **labels):
        wanted = [f"('{k}', '{v}')" for k, v in labels.items()]
        return sum(v for k, v in result.counters.items() if k.startswith(name) and all(w in k for w in wanted))

    assert total("burstwatch_arrivals_total") == len(rows)
    assert total("burstwatch_completions_total", outcome="failed") == sum(r["Response tokens"] == "0" for r in rows)
    assert total("burstwatch_arrivals_total", model="GPT-4") == sum(r["Model"] == "GPT-4" for r in rows)
