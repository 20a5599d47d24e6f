"""`burstwatch analyze` as a person uses it: the report, the lines, and what it says to bad input."""

import json
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from burstwatch.analyze.report import Findings, report
from tests.support.pipeline import generated_trace, run_cli


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return generated_trace(tmp_path_factory.mktemp("trace"), duration_s=1500)


def test_the_report_says_how_bursty_when_and_what_happened(trace):
    done = run_cli("analyze", str(trace), "--window", "300")
    assert done.returncode == 0, done.stderr
    requests = len(trace.read_text().splitlines()) - 1
    assert f"{requests:,} requests" in done.stdout
    assert "2023-11-01 00:00:0" in done.stdout
    assert "windows of 300 s" in done.stdout
    assert "burst ends" in done.stdout


def test_an_exported_trace_is_dated_as_its_manifest_says(trace, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_bytes(trace.read_bytes())
    told = {"origin": "2026-05-04T00:00:00.000000+00:00", "files": {"trace": {"name": "mine.csv"}}}
    (tmp_path / "mine.manifest.json").write_text(json.dumps(told))
    assert "2026-05-04 00:00:0" in run_cli("analyze", str(mine)).stdout
    assert "2001-01-01 00:00:0" in run_cli("analyze", str(mine), "--origin", "2001-01-01T00:00:00Z").stdout
    for not_its in ("[1", json.dumps(told).replace("mine.csv", "other.csv"), json.dumps({"origin": 5})):
        (tmp_path / "mine.manifest.json").write_text(not_its)
        assert "2023-11-01 00:00:0" in run_cli("analyze", str(mine)).stdout


def test_json_lines_are_rows_and_episodes_and_count_every_request(trace):
    done = run_cli("analyze", str(trace), "--json", "--service", "chat")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [line for line in lines if "windows" in line and line["model"] == "all"]
    requests = len(trace.read_text().splitlines()) - 1
    assert {line["service"] for line in lines} == {"chat"}
    assert sum(row["windows"]["10"]["arrivals"] for row in rows) == requests
    assert [line["end"] for line in rows] == sorted(line["end"] for line in rows)
    assert any(line.get("kind") == "burst" for line in lines)


def test_an_episode_the_trace_ends_in_and_one_over_midnight_are_told_from_when_and_for_how_long():
    midnight = 1_700_006_400 * 1_000_000
    burst = {
        "v": 1,
        "kind": "burst",
        "service": "chat",
        "baseline_rate": 1.0,
        "peak_rate": 9.0,
        "peak_z": 9,
        "end": None,
    }
    findings = Findings(window_s=300)
    for n, onset in enumerate((midnight - 60_000_000, midnight + 600_000_000)):
        findings.note(burst | {"id": str(n), "state": "onset", "onset": onset, "detected": onset + 3_000_000})
        if not n:
            findings.note(burst | {"id": "0", "state": "end", "onset": onset, "end": midnight + 30_000_000})
    console = Console(width=200, record=True, file=StringIO())
    console.print(report(findings, []))
    lines = console.export_text().splitlines()[-3:]
    assert lines[0] == "2 episodes"
    assert lines[1].startswith("  2023-11-14 23:59:00 for 90 s: 00:00:30Z burst ends   chat: 9.0/s")
    assert lines[2].startswith("  2023-11-15 00:10:00 still on: 00:10:03Z BURST begins chat: 9.0/s")


def test_a_higher_threshold_finds_fewer_bursts(trace):
    def onsets(*options: str) -> int:
        done = run_cli("analyze", str(trace), "--json", *options)
        return sum('"kind":"burst","service"' in x or '"state":"onset"' in x for x in done.stdout.splitlines())

    assert onsets("--burst-threshold", "50") == 0 < onsets()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("nowhere.csv",), "nowhere.csv"),
        (("TRACE", "--window", "77"), "--window must be one of 10, 60, 300, 1200, 3600"),
        (("TRACE", "--origin", "yesterday"), "--origin 'yesterday' is not a time"),
        (("TRACE", "--service", "two words"), "--service must be"),
        (("TRACE", "--burst-threshold", "1"), "burst_threshold"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(trace, options, says):
    done = run_cli("analyze", *(str(trace) if option == "TRACE" else option for option in options))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_trace_is_no_fault(trace, tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text(trace.read_text().splitlines()[0] + "\n")
    done = run_cli("analyze", str(empty))
    assert done.returncode == 0
    assert "no requests" in done.stdout
    assert run_cli("analyze", str(empty), "--json").stdout == ""


def test_a_reader_of_the_lines_that_goes_away_ends_it_quietly(tmp_path):
    trace = tmp_path / "trace.csv"
    rows = [f"{i / 10:.1f},ChatGPT,{i % 300 + 1},{i % 90 + 1},{i % 300 + i % 90 + 2},API log" for i in range(4000)]
    trace.write_text("\n".join(["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type", *rows]))
    command = [sys.executable, "-m", "burstwatch.cli", "analyze", str(trace), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0
