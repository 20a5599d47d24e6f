"""Files from anywhere: whatever the bytes, rows come out or lines are named; nothing else is raised."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.cli import main as burstwatch
from collector.schema.columns import COUNT_MAX, TIME_US_MAX
from collector.schema.errors import BadTrace, OperatorError
from workload.formats import reading as reading_module
from workload.formats.reading import Reading, bounded_lines
from workload.formats.record import Record
from workload.formats.registry import FORMATS, detect
from workload.formats.told import Told

LINES = [name for name, form in FORMATS.items() if form.read is not None]
GOOD = Record(submitted_us=4_000_000, request_tokens=20, response_tokens=7, session="s", outcome="ok", request_id="3")
MORE = b'{}[]",:\x00\r\n\xff\xef\xbb\xbf0123456789.eE+-truefalsnu'


def _good(name):
    return b"".join(FORMATS[name].encode([GOOD, GOOD._replace(request_id="4")], Told()))


def _read(name, data):
    reading = Reading()
    return list(FORMATS[name].read(data.splitlines(keepends=True), reading)), reading


@pytest.mark.parametrize("name", LINES)
def test_any_bytes_are_read_or_named(name):
    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def law(data):
        good = _good(name)
        at = data.draw(st.integers(0, len(good)))
        gone = data.draw(st.integers(0, 12))
        put = data.draw(st.binary(max_size=6) | st.lists(st.sampled_from(MORE), max_size=6).map(bytes))
        try:
            records, reading = _read(name, good[:at] + put + good[at + gone :])
        except BadTrace as error:
            assert error.line == 1  # only a header may end it
            return
        for record in records:
            assert 0 <= record.submitted_us <= TIME_US_MAX
            for count in (record.request_tokens, record.response_tokens):
                assert count is None or 0 <= count <= COUNT_MAX
        assert len(reading.named) == min(reading.bad_rows, 5)

    law()


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("change", ["bom", "crlf", "blank lines"])
def test_marks_line_ends_and_blank_lines_change_nothing(name, change):
    good = _good(name)
    changed = {
        "bom": b"\xef\xbb\xbf" + good,
        "crlf": good.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        "blank lines": good + b"\n\r\n\n",
    }
    assert _read(name, good)[0] == _read(name, changed[change])[0]
    assert 2 == len(_read(name, _good(name))[0])


@pytest.mark.parametrize("name", LINES)
def test_a_file_cut_anywhere_loses_its_last_row_at_most(name):
    good = _good(name)
    for cut in range(len(good.splitlines(keepends=True)[0]) + 1, len(good), 7):
        records, reading = _read(name, good[:cut])
        assert reading.bad_rows <= 1
        assert len(records) <= 2


BAD_VALUES = [
    b"-1",
    b"1e400",
    b"99999999999999999999",
    b"9007199254740992",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
    b"1.5",
    b"NaN",
]


@pytest.mark.parametrize("name", [n for n in LINES if FORMATS[n].suffix == ".jsonl"])
@pytest.mark.parametrize("value", BAD_VALUES)
def test_a_length_that_is_no_count_is_a_bad_row(name, value):
    data = _good(name)
    for old in (b'"input_length": 20', b'"request_tokens":20', b'"input_tokens": 20'):
        data = data.replace(old, old.split(b":")[0] + b":" + value, 1)
    assert data != _good(name)
    assert 1 == _read(name, data)[1].bad_rows


BAD_ROWS = """\
5,ChatGPT,1e3,1,,API log
5,ChatGPT,-1,1,,API log
5,ChatGPT,99999999999999999,1,,API log
5,Chat GPT,1,1,,API log
5,Chat\x00GPT,1,1,,API log
5,ChatGPT,1,1,,Chat log
-5,ChatGPT,1,1,,API log
999999999999999,ChatGPT,1,1,,API log
٥,ChatGPT,1,1,,API log
nan,ChatGPT,1,1,,API log
5,"ChatGPT,1,1,,API log
5"""


@pytest.mark.parametrize("bad", BAD_ROWS.splitlines())
def test_a_stray_row_costs_itself_and_no_other(bad):
    header = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
    row = "5,ChatGPT,1,1,2,API log"
    records, reading = _read("burstgpt-6", "\n".join([header, row, bad, row]).encode())
    assert 2 == len(records)
    assert reading.named[0].startswith("line 3: ")


def test_columns_are_found_by_name_in_any_order_and_extra_ones_read_past():
    data = b'Log Type,extra,"Response tokens",Model,Request tokens,Timestamp\nAPI log,?,2,"a,""b",1,7.5\n'
    (record,), _ = _read("burstgpt-8", data)
    assert (
        Record(submitted_us=7_500_000, model='a,"b', request_tokens=1, response_tokens=2, log_type="API log") == record
    )


def test_a_line_without_end_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(reading_module, "LINE_BYTES_MAX", 100)
    path = tmp_path / "f"
    path.write_bytes(
        _good("azure").splitlines()[0] + b"\n" + b"1" * 1000 + b"\n" + _good("azure").splitlines()[1] + b"\n"
    )
    with path.open("rb") as file:
        pieces = list(bounded_lines(file))
    assert 101 == max(map(len, pieces))
    reading = Reading()
    assert 1 == len(list(FORMATS["azure"].read(pieces, reading)))
    assert ["line 2: longer than 16 MiB"] == reading.named


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b,c\n1,2,3\n", "no known header: 'a,b,c'"),
        (b"a,b\n", r"would do \(Timestamp, Model, Request tokens, Response tokens, Log Type\), or Azure.s \(TIMESTAMP"),
        (b"a,b\n", r"\(--format NAME says which it is\)$"),
        (b"[1, 2]\n", "no known header"),
        (b'{"a": 1, "b": 2}\n', "the keys a, b"),
        (b"{broken\n", "not JSON lines"),
        (b'{"timestamp": 1, "input_length": 3, "output_length": 4}\n', "may be seconds"),
        (b"0,1.5,0.9,Gamma,1.2,0.5\n", "not requests"),
        (b'{"0": {"input_tokens": "{1: 1.0}"}}', "not requests"),
        (b"PAR1", "cannot read|is not|Parquet"),
    ],
)
def test_what_no_format_is_gets_one_clear_line(data, says, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(data)
    with pytest.raises(OperatorError, match=says) as caught:
        name = detect(path)
        list(FORMATS[name].read_file(path, Reading()))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(OperatorError, match="cannot read"):
            detect(path)


@pytest.mark.parametrize(
    "command",
    [
        "trace analyze .",
        "trace convert . --to paper --out o.csv",
        "workload fit . --out m.toml",
        "workload generate --trace . --by thin --rate 1 --out o.csv",
        "workload bench --simulate --trace .",
        "replay . --url http://127.0.0.1:9/v1",
    ],
)
def test_every_command_that_reads_a_trace_says_what_to_do_with_a_folder(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 2 == burstwatch(command.split())
    assert "cannot read .: it is a folder; `burstwatch trace export` makes a trace" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "trace analyze f --format morse",
        "workload fit f --out m.toml --format morse",
        "workload generate --trace f --by thin --rate 1 --out o.csv --format morse",
        "workload bench --simulate --trace f --format morse",
        "replay f --url http://127.0.0.1:9/v1 --format morse",
    ],
)
def test_every_command_that_reads_a_trace_takes_a_format_by_the_same_option(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n")
    assert 2 == burstwatch(command.split())
    told = capsys.readouterr().err
    assert "morse" in told
    assert "burstgpt-8, burstgpt-6" in told
    assert 1 == told.count("\n")


def test_a_manifest_is_no_trace_but_says_which_file_is(tmp_path, capsys):
    assert 2 == burstwatch(["trace", "info", str(tmp_path / "day.manifest.json")])
    assert "is the manifest of a trace: give the trace itself (day.csv)" in capsys.readouterr().err


def test_seconds_and_milliseconds_are_told_apart_by_the_size_of_blocks(tmp_path):
    path = tmp_path / "f"
    path.write_text('{"timestamp": 1, "input_length": 5, "output_length": 4, "hash_ids": [1]}\n'
                    '{"timestamp": 2, "input_length": 30, "output_length": 4, "hash_ids": [1, 2]}\n')  # fmt: skip
    assert "vllm-timed" == detect(path)
    path.write_text('{"timestamp": 27482, "input_length": 1000, "output_length": 52, "hash_ids": [46, 47]}\n')
    assert "mooncake" == detect(path)


def test_dynamos_other_rows_are_no_requests_and_wrapped_ones_are_opened():
    inner = _good("dynamo").splitlines()[0].decode()
    data = f'{{"timestamp": 1, "event": {inner}}}\n{{"schema": "dynamo.request.trace.v1", "event_type": "tool_end"}}\n'
    records, reading = _read("dynamo", data.encode())
    assert 1 == len(records)
    assert (0, 1) == (reading.bad_rows, reading.not_requests)


def test_dynamo_times_follow_its_own_rules():
    row = (
        b'{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 1250, "request": %s}'
    )
    (at_start,), _ = _read("dynamo", row % b'{"request_id": "r", "request_received_ms": 1000, "output_tokens": 1}')
    assert (1_000_000, 250_000) == (at_start.submitted_us, at_start.elapsed_us)
    (from_end,), _ = _read("dynamo", row % b'{"request_id": "r", "total_time_ms": 50.5, "output_tokens": 1}')
    assert (1_199_500, 50_500) == (from_end.submitted_us, from_end.elapsed_us)


def test_a_sidecars_end_before_its_submission_is_no_time_at_all():
    """Two clocks, or one set back: 0 as in the CSV, never a negative time."""
    (record,), _ = _read("sidecar", b'{"submitted_at": 2000000, "first_token_at": 1000000, "ended_at": 1500000}')
    assert (0, 0) == (record.first_token_us, record.elapsed_us)
