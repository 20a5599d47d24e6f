"""`burstwatch trace convert` as its user meets it: files, messages, exit codes."""

import doctest
import gzip
import io
import json
import subprocess
import sys

import orjson
import pytest

from collector.schema.errors import OperatorError
from tests.support.shared_data import shared
from workload.formats import convert_cli, values
from workload.formats import reading as reading_module
from workload.formats import told as told_module
from workload.formats.convert import Wanted, converted, in_order
from workload.formats.convert_cli import main
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.registry import FORMATS, TARGETS
from workload.formats.told import Told

HEADER = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
GOOD = HEADER + "5,ChatGPT,472,18,490,Conversation log\n7,GPT-4,9,0,9,API log\n9,GPT-4,3,4,7,API log\n"


@pytest.fixture
def convert(tmp_path, capsys):
    """Return what converts text (or a path) and gives the new file's text and what was said."""

    def run(source, *options, out="out.file"):
        path = source
        if isinstance(source, str):
            path = tmp_path / "in.file"
            path.write_text(source, newline="")
        assert 0 == main([str(path), "--out", str(tmp_path / out), *options])
        said = capsys.readouterr()
        return (tmp_path / out).read_bytes(), said

    return run


def test_same_format_in_and_out_gives_the_published_bytes(convert):
    path = shared("burstgpt/burstgpt1_first30_rows.csv")
    assert path.read_bytes() == convert(path, "--to", "burstgpt-6")[0]


def test_azure_comes_back_to_the_byte(convert):
    path = shared("azure/AzureLLMInferenceTrace_code.csv")
    assert path.read_bytes() + b"\r\n" == convert(path, "--to", "azure")[0]  # the published last line has no end


def test_ragpulse_comes_back_to_the_byte_in_file_order(convert):
    path = shared("ragpulse/0_trace.jsonl")
    assert path.read_bytes().rstrip() + b"\n" == convert(path, "--to", "ragpulse", "--reorder", "0")[0]


def test_eight_columns_come_back_with_every_value(convert):
    """The release writes 19440110.0, we 19440110: the same number."""
    path = shared("burstgpt/burstgpt3_conv_first314_v2schema_partial.csv")
    old, new = path.read_text().splitlines(), convert(path, "--to", "paper")[0].decode().splitlines()
    assert [line.replace(".0,", ",", 1) for line in old] == new


def test_a_step_back_in_time_is_put_right_and_told(convert):
    path = shared("ragpulse/0_trace.jsonl")
    data, said = convert(path, "--to", "paper")
    times = [int(line.split(b",")[0]) for line in data.splitlines()[1:]]
    assert sorted(times) == times
    assert 7106 == len(times)
    assert "goes back in time at one place (row 3801, by 604453 s)" in said.err


def test_rows_too_far_out_of_order_end_it_before_anything_is_written(tmp_path):
    with pytest.raises(OperatorError, match="--reorder all"):
        main([str(shared("ragpulse/0_trace.jsonl")), "--to", "paper", "--out", str(tmp_path / "o"), "--reorder", "100"])
    assert not list(tmp_path.iterdir())


def test_in_order_is_a_stable_sort_within_its_reach():
    records = [Record(submitted_us=us, request_tokens=i) for i, us in enumerate([3, 1, 2, 2, 0, 5, 4, 4])]
    told = Told()
    assert sorted(records, key=lambda r: r.submitted_us) == list(in_order(iter(records), 4, told))
    assert sorted(records, key=lambda r: r.submitted_us) == list(in_order(iter(records), None, Told()))
    assert 6 == told.changed["rows put in order of time"]
    with pytest.raises(OperatorError, match="too late"):
        list(in_order(iter(records), 1, Told()))


def test_losses_refusals_and_changes_are_told_in_rows(convert):
    _, said = convert(GOOD, "--to", "mooncake", "--json")
    told = json.loads(said.out)
    assert {"model": 2, "log_type": 2} == told["output"]["dropped_columns"]
    assert {"failed": 1} == told["output"]["refused_rows"]
    assert 2 == told["output"]["rows_written"]
    _, said = convert(GOOD, "--to", "mooncake")
    assert "no room for: model, 2 rows" in said.err
    assert "left out: failed, 1 row\n" in said.err
    assert "times count from the first row, which was at 5 s" in said.err


def test_bad_rows_are_counted_and_named_by_line(convert, tmp_path):
    text = GOOD + "x,GPT-4,3,4,7,API log\n11,GPT-4\n" + '12,"GPT-4,1,1,2,API log\n' + "13,GPT-4,1,1,2,API log\n"
    data, said = convert(text, "--to", "paper-6")
    assert 5 == len(data.splitlines())
    assert "3 rows that do not parse; the first: line 5: Timestamp" in said.err
    assert "line 6: only 2 columns" in said.err
    with pytest.raises(OperatorError, match="line 5: Timestamp"):
        main([str(tmp_path / "in.file"), "--to", "paper-6", "--out", str(tmp_path / "strict"), "--strict"])
    assert not (tmp_path / "strict").exists()


def test_nothing_to_write_is_an_error_with_the_reasons(tmp_path):
    (tmp_path / "f").write_text(HEADER + "5,ChatGPT,0,0,0,Conversation log\nnonsense\n")
    with pytest.raises(OperatorError, match=r"no row is left to write: 1 failed .*; 1 do not parse \(line 3"):
        main([str(tmp_path / "f"), "--to", "vllm", "--out", str(tmp_path / "o")])
    assert ["f"] == [path.name for path in tmp_path.iterdir()]


def test_an_old_output_stays_when_the_conversion_fails(tmp_path):
    (tmp_path / "o").write_text("precious")
    (tmp_path / "f").write_text(GOOD + "nonsense\n")
    with pytest.raises(OperatorError):
        main([str(tmp_path / "f"), "--to", "paper", "--out", str(tmp_path / "o"), "--strict"])
    assert "precious" == (tmp_path / "o").read_text()
    with pytest.raises(OperatorError, match="cannot write --out"):
        main([str(tmp_path / "f"), "--to", "paper", "--out", str(tmp_path / "no" / "o")])


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ((), "65823.97996"),  # since 0:00 of the day, as the paper counts
        (("--zero", "first"), "0"),
        (("--zero", "keep"), "1700158623.97996"),
        (("--origin", "2023-11-16T18:00:00", "--zero", "keep"), "1023.97996"),
    ],
)
def test_where_times_count_from(convert, options, first):
    data, _ = convert(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n", "--to", "paper", *options
    )
    assert first == data.decode().splitlines()[1].split(",")[0]


def test_an_origin_dates_times_without_dates(convert):
    data, said = convert(GOOD, "--to", "azure", "--origin", "2023-11-01T00:00:00+08:00")
    assert b"2023-10-31 16:00:05.0000000,472,18\r\n" in data
    assert "1970" not in said.err
    data, said = convert(GOOD, "--to", "azure")
    assert b"1970-01-01 00:00:05.0000000,472,18\r\n" in data
    assert "its 0 became 1970-01-01T00:00:00Z" in said.err


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (("--origin", "2026-11-01T10:00:00Z"), "36005"),  # paper: since midnight of the day that 0 lies in
        (("--origin", "2026-11-01T10:00:00Z", "--zero", "keep"), "5"),
        (("--origin", "2026-11-01T10:00:00Z", "--zero", "first"), "0"),
        (("--zero", "keep"), "5"),
        ((), "5"),
    ],
)
def test_an_origin_of_times_without_dates_moves_them_only_to_midnight(convert, options, first):
    data, _ = convert(GOOD, "--to", "paper", *options)
    assert first == data.decode().splitlines()[1].split(",")[0]


AZURE_ROW = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n"


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (GOOD, ("--to", "azure", "--zero", "first"), "whose times are dates"),
        (AZURE_ROW, ("--to", "sidecar", "--origin", "2026-11-01"), "both azure and sidecar have dates"),
        (GOOD, ("--to", "paper", "--zero", "day"), "needs dates"),
        (AZURE_ROW, ("--to", "paper", "--origin", "2026-11-01", "--zero", "keep"), "before the instant"),
        (GOOD, ("--to", "parquet", "--out", "-"), "cannot be written to stdout"),
    ],
)
def test_what_cannot_be_had_is_said(text, options, says, tmp_path):
    (tmp_path / "f").write_text(text)
    with pytest.raises(OperatorError, match=says):
        main([str(tmp_path / "f"), "--out", str(tmp_path / "o"), *options])
    assert not (tmp_path / "o").exists()


def test_packed_files_are_unpacked_and_broken_ones_said(convert, tmp_path):
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert GOOD.encode() == convert(path, "--to", "burstgpt-6")[0]
    path.write_bytes(gzip.compress(GOOD.encode() * 50)[:-20])
    with pytest.raises(OperatorError, match="cannot read"):
        main([str(path), "--to", "burstgpt-6", "--out", str(tmp_path / "o")])


def test_limit_and_parquet_through_and_back(convert, tmp_path):
    pytest.importorskip("polars")
    convert(GOOD, "--to", "parquet", "--limit", "2", out="t.parquet")
    assert "".join(GOOD.splitlines(keepends=True)[:3]).encode() == convert(tmp_path / "t.parquet", "--to", "paper-6")[0]


@pytest.mark.parametrize(("out", "says"), [("t.csv", "would overwrite the trace"), ("/dev/null", "not a file")])
def test_neither_the_trace_nor_a_device_is_replaced(out, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "t.csv"
    trace.write_text("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,m,1,2,3,API log\n")
    before = trace.read_bytes()
    with pytest.raises(OperatorError, match=says):
        main([str(trace), "--to", "mooncake", "--out", out])
    assert trace.read_bytes() == before


def test_a_pipe_that_closes_early_is_no_error(tmp_path):
    (tmp_path / "f").write_text(HEADER + "5,ChatGPT,472,18,490,Conversation log\n" * 20_000)
    command = [
        sys.executable,
        "-m",
        "burstwatch",
        "trace",
        "convert",
        str(tmp_path / "f"),
        "--to",
        "paper",
        "--out",
        "-",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout.readline().startswith(b"Timestamp")
        run.stdout.close()
        assert (b"", 0) == (run.stderr.read(), run.wait())


def test_memory_holds_rows_waiting_for_their_place_and_no_more():
    """A converter asked for one row has drawn no more than it may hold back."""
    drawn = iter(Record(submitted_us=i) for i in range(10_000))
    next(converted(drawn, FORMATS["azure"], TARGETS["paper"], Wanted(reorder_rows=100), Told()))
    assert 10_000 - 101 == len(list(drawn))


def test_reading_draws_no_line_ahead():
    lines = io.BytesIO(GOOD.encode())
    next(FORMATS["burstgpt-6"].read(iter(lines.readline, b""), Reading()))
    assert GOOD.splitlines(keepends=True)[2:] == [line.decode() for line in lines]


def test_help_names_every_format_and_profile(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in TARGETS)


def test_json_goes_to_stderr_when_the_trace_goes_to_stdout(tmp_path, capfdbinary):
    (tmp_path / "f").write_text(GOOD)
    main([str(tmp_path / "f"), "--to", "paper-6", "--out", "-", "--json"])
    said = capfdbinary.readouterr()
    assert GOOD.encode() == said.out
    assert 3 == orjson.loads(said.err)["output"]["rows_written"]


def test_columns_the_reader_does_not_know_are_said(convert):
    _, said = convert(
        "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,2,4808,10\n", "--to", "paper"
    )
    assert "not read: NumImages (unknown to azure)" in said.err
    rows = '{"timestamp": 1, "input_length": 5, "output_length": 6, "hash_ids": [1], "priority": 3}\n'
    _, said = convert(rows, "--to", "paper", "--json")
    assert ["priority"] == json.loads(said.out)["input"]["ignored_columns"]


def test_a_bar_is_drawn_on_a_terminal_only(convert, monkeypatch):
    monkeypatch.setattr(convert_cli, "_BAR_FROM_BYTES", 0)
    assert "converting" not in convert(GOOD, "--to", "paper")[1].err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    data, said = convert(GOOD, "--to", "paper")
    assert 4 == len(data.splitlines())
    assert "converting" in said.err


def test_a_folder_is_told_what_makes_a_trace_of_it(tmp_path):
    with pytest.raises(OperatorError, match="trace export"):
        main([str(tmp_path), "--to", "paper", "--out", str(tmp_path / "o")])


@pytest.mark.parametrize("module", [values, told_module, reading_module])
def test_examples_in_docstrings_hold(module):
    assert 0 == doctest.testmod(module).failed
