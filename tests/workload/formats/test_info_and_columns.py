"""`trace info` says what is there; records become columns and come back."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import read_rows
from streams.capture.rows import FIELDS as EXPORTED
from streams.capture.trace_format import sidecar_lines
from tests.support.events import TOKENS
from tests.support.shared_data import shared
from tests.support.trace_records import BY_FORMAT, FIELDS, TIMES, holding
from workload.formats.columns import read_columns, records_to_trace, trace_to_records
from workload.formats.info import counted
from workload.formats.info_cli import main
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.registry import FORMATS, open_records
from workload.formats.told import Told
from workload.trace.columns import Labels, Trace
from workload.trace.read import read_trace, rows_to_trace

OUTCOMES = ["ok", "failed", "cancelled"]


def _same(one: Trace, two: Trace):
    for name in ("submitted_us", "elapsed_us", "first_token_us", "request_tokens", "response_tokens", "outcome"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for name in ("model", "log_type", "session", "service", "reason"):
        assert getattr(one, name).values() == getattr(two, name).values()
    assert (one.resolution_us, one.absolute) == (two.resolution_us, two.absolute)


@settings(max_examples=30, deadline=None)
@given(st.lists(holding("session", "elapsed_us", "first_token_us", "model", "request_tokens", "response_tokens",
                        "log_type", "service", "reason", outcome=st.sampled_from(OUTCOMES))))  # fmt: skip
def test_what_columns_hold_comes_back(records):
    trace = records_to_trace(records)
    assert records == list(trace_to_records(trace))
    _same(trace, records_to_trace(trace_to_records(trace)))


@settings(max_examples=30, deadline=None)
@given(BY_FORMAT["burstgpt-8"])
def test_rows_read_here_make_the_trace_that_the_schemas_reader_makes(records):
    data = b"".join(FORMATS["burstgpt-8"].encode(records, Told()))
    header, rows = read_rows(data.decode().splitlines())
    ours = FORMATS["burstgpt-8"].read(data.splitlines(), Reading())
    _same(rows_to_trace(rows, absolute=header.absolute), records_to_trace(ours))


@pytest.mark.parametrize("name", ["azure/AzureLLMInferenceTrace_code.csv", "burstgpt/burstgpt1_first30_rows.csv",
                                  "burstgpt/burstgpt3_conv_first314_v2schema_partial.csv"])  # fmt: skip
def test_real_files_read_row_by_row_equal_those_read_at_once(name):
    _same(read_trace(shared(name)), read_columns(shared(name)).sorted_by_time())


def test_other_formats_reach_read_trace_and_report_their_progress():
    told = []
    trace = read_trace(shared("ragpulse/0_trace.jsonl"), progress=lambda done, size: told.append((done, size)))
    assert 7106 == len(trace)
    assert not np.any(np.diff(trace.submitted_us) < 0)
    assert told
    assert all(0 <= done <= size == shared("ragpulse/0_trace.jsonl").stat().st_size for done, size in told)


@settings(max_examples=10, deadline=None)
@given(BY_FORMAT["parquet"])
def test_parquet_brings_everything_back(tmp_path_factory, records):
    pytest.importorskip("polars")
    path = tmp_path_factory.mktemp("p") / "t.parquet"
    FORMATS["parquet"].encode_file(records, Told(), path)
    with open_records(path, None, Reading(strict=True)) as (form, back, _):
        assert "parquet" == form.name
        assert records == list(back)


COMPLETIONS = st.fixed_dictionaries(
    {name: st.none() | FIELDS[name] for name in ("model", "session", "request_tokens", "response_tokens", "reason")}
    | {"id": TOKENS, "source": TOKENS, "node": TOKENS, "submitted_at": TIMES, "stream": st.none() | st.booleans()}
    | {"log_type": FIELDS["log_type"], "outcome": FIELDS["outcome"], "http_status": st.none() | st.integers(100, 599)}
)


@settings(max_examples=30, deadline=None)
@given(st.lists(COMPLETIONS))
def test_a_sidecar_of_trace_export_comes_back_to_the_byte(rows):
    """Written by streams/capture itself: reader and writer here know its every column."""
    head = lambda row: (row["submitted_at"], row["id"], 0, 0, 0, "chat")  # noqa: E731
    exported = sidecar_lines([(*head(row), *(row.get(name) for name in EXPORTED)) for row in rows])
    form, reading = FORMATS["sidecar"], Reading(strict=True)
    records = list(form.read(exported.splitlines(keepends=True), reading))
    assert exported == b"".join(form.encode(records, Told()))
    assert not reading.ignored


def test_parquet_with_the_papers_columns_is_read_and_strange_ones_are_said(tmp_path):
    polars = pytest.importorskip("polars")
    path = tmp_path / "t.parquet"
    columns = {"Timestamp": [5.0, 6.5, -1.0], "Model": ["a", None, "b"], "Request tokens": [1, 2, 3],
               "Response tokens": [3, 0, 4], "Log Type": ["API log", None, None]}  # fmt: skip
    polars.DataFrame(columns).write_parquet(path)
    reading = Reading()
    with open_records(path, None, reading) as (_, rows, _file):
        first, second = rows
    assert Record(submitted_us=5_000_000, model="a", request_tokens=1, response_tokens=3, log_type="API log") == first
    assert (6_500_000, True) == (second.submitted_us, second.failed)
    assert reading.named[0].startswith("line 3: Timestamp")
    polars.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(OperatorError, match="the file has x"):
        read_columns(path)


def test_our_own_parquet_export_keeps_how_requests_ended(tmp_path):
    """Columns as streams/capture/parquet.py writes them."""
    polars = pytest.importorskip("polars")
    path, at = tmp_path / "t.parquet", datetime(2026, 11, 1, tzinfo=UTC)
    columns = {"Timestamp": [5.25], "Session ID": ["s"], "Elapsed time": [2.0], "Model": ["m"], "Request tokens": [9],
               "Response tokens": [0], "Total tokens": [9], "Log Type": ["API log"], "service": ["chat"], "id": ["r1"],
               "submitted_at": [at], "first_token_at": [at + timedelta(seconds=0.5)], "ended_at": [None],
               "response_tokens": [4], "cached_tokens": [None], "stream": [True], "outcome": ["failed"],
               "reason": ["timeout"], "http_status": [504]}  # fmt: skip
    polars.DataFrame(columns).write_parquet(path)
    with open_records(path, None, Reading(strict=True)) as (_, rows, _file):
        (row,) = rows
    assert row == Record(
        submitted_us=5_250_000, session="s", elapsed_us=2_000_000, first_token_us=500_000, model="m", request_tokens=9,
        response_tokens=4, log_type="API log", service="chat", outcome="failed", reason="timeout", request_id="r1",
        other={"stream": True, "http_status": 504},
    )  # fmt: skip
    assert row.failed


def _info(path, capsys, *options):
    assert 0 == main([str(path), *options])
    return capsys.readouterr().out


def test_info_says_what_the_papers_first_rows_hold(capsys):
    said = json.loads(_info(shared("burstgpt/burstgpt1_first30_rows.csv"), capsys, "--json"))
    assert ("burstgpt-6", 30, 1_000_000) == (said["format"], said["rows"], said["resolution_us"])
    assert {"ok": 29, "failed": 1, "cancelled": 0} == said["outcomes"]
    assert {"ChatGPT": 23, "GPT-4": 7} == said["models"]
    assert (5_000_000, 2_293_000_000) == (said["first_us"], said["last_us"])
    assert 29 / 2288 == pytest.approx(said["rate_per_s"])
    assert 29 == said["response_tokens"]["known"]
    assert said["sessions"] is None


def test_info_counts_bad_rows_and_strict_stops(tmp_path, capsys):
    path = tmp_path / "t.csv"
    good = (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,a,1,2,3,API log\n9,a,1,2,3,API log\n"
    )
    path.write_text(good + "bad\n")
    assert "1 row does not parse: line 4" in " ".join(_info(path, capsys).split())
    with pytest.raises(OperatorError, match="line 4"):
        main([str(path), "--strict"])


def test_info_shows_a_manifest_that_is_this_files_and_no_others(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,[red]a[/red],1,2,3,API log\n"
    )
    manifest = {"origin": "2026-11-01T00:00:00Z", "loss": {"missing_messages": 3, "streams": []},
                "files": {"trace": {"name": "t.csv"}}}  # fmt: skip
    (tmp_path / "t.manifest.json").write_text(json.dumps(manifest))
    text = _info(path, capsys)
    assert "2026-11-01T00:00:00Z" in text
    assert "missing messages 3" in text
    assert "[red]a[/red] 1" in text
    assert manifest == json.loads(_info(path, capsys, "--json"))["manifest"]
    (tmp_path / "t.manifest.json").write_text(json.dumps({**manifest, "files": {"trace": {"name": "u.csv"}}}))
    assert "manifest" not in _info(path, capsys)


def test_info_of_rows_without_anything_but_times(tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    path.write_text('{"submitted_at": 1700000000000000}\n')
    assert "2023-11-14T22:13:20.000000Z" in _info(path, capsys)
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n")
    assert "requests" in _info(path, capsys)


def test_many_models_are_summed():
    labels = Labels.of([f"m{i}" for i in range(30)] + ["m7"] + [None])
    found = counted(labels)
    assert (21, "m7", 31) == (len(found), next(iter(found)), sum(found.values()))


def test_info_tells_of_a_file_that_goes_back_in_time(capsys):
    path = shared("ragpulse/0_trace.jsonl")
    told = json.loads(_info(path, capsys, "--json"))
    times = [int(json.loads(line)["timestamp"]) for line in path.read_text().splitlines() if line.strip()]
    steps = [one - two for one, two in zip(times, times[1:], strict=False) if two < one]
    assert (told["steps_back"], told["step_back_max_s"]) == (len(steps), max(steps)) == (1, 604_453)
    assert "1 row goes back in time, by 7.0 days at most" in " ".join(_info(path, capsys).split())


@pytest.mark.parametrize("bad", ["", "x,m,1,2,3,API log\n"])
def test_times_years_apart_are_an_error_not_memory(bad, tmp_path):
    path = tmp_path / "t.csv"
    head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    path.write_text(f"{head}0,m,1,2,3,API log\n{bad}1700000000,m,1,2,3,API log\n")
    with pytest.raises(OperatorError, match="from 0 s to 1700000000 s are 54 years; 5 are the most"):
        main([str(path)])
