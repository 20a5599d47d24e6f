"""`burstwatch up` as a user runs it: ends by itself, exit 0, the trace and its manifest left behind."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from collector.schema.trace_rows import BURSTGPT_8, read_rows
from tests.support.pipeline import AZURE, run_cli

WORKLOAD = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
"""


def _rows(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(read_rows(lines)[1])


def test_the_main_job_ends_by_itself_and_leaves_a_trace(tmp_path):
    done = run_cli("up", "--duration", "15", "--out", str(tmp_path), timeout_s=110)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(tmp_path / "trace.csv")
    with (tmp_path / "trace.csv").open(newline="") as lines:
        assert tuple(next(csv.reader(lines))) == BURSTGPT_8
    manifest = json.loads((tmp_path / "trace.manifest.json").read_text())
    replay = json.loads((tmp_path / "state" / "replay.json").read_text())
    assert len(rows) == manifest["rows"]["total"] > 20
    # Nothing lost, nothing twice: what the client sent through the proxy is what was captured.
    assert replay["sent"] == len(rows)
    assert "kv " in done.stdout
    assert "rate " in done.stdout


def test_recorded_events_end_up_in_the_same_file_they_came_from(tmp_path):
    source = tmp_path / "in.csv"
    with source.open("w", newline="") as out:
        out.write(WORKLOAD)
        for i in range(500):
            out.write(f"{i * 0.37:.2f},s{i % 7},{i % 5},GPT-4,{i},{i % 11},{i + i % 11},Conversation log\n")
    done = run_cli("up", "--events", str(source), "--speed", "max", "--out", str(tmp_path / "o"), timeout_s=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _rows(source) == _rows(tmp_path / "o" / "trace.csv")


@pytest.mark.kafka
def test_an_existing_kafka_replaces_the_embedded_broker(tmp_path, kafka):
    source = tmp_path / "in.csv"
    with source.open("w", newline="") as out:
        out.write(WORKLOAD)
        out.writelines(f"{i * 0.37:.2f},,{i % 5},ChatGPT,{i},{i % 11},{i + i % 11},API log\n" for i in range(300))
    args = (
        "--events",
        str(source),
        "--speed",
        "max",
        "--kafka",
        kafka,
        "--service",
        "own",
        "--out",
        str(tmp_path / "o"),
    )
    done = run_cli("up", *args, timeout_s=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _rows(source) == _rows(tmp_path / "o" / "trace.csv")
    assert not (tmp_path / "o" / "state" / "broker").exists()


def test_a_second_run_keeps_the_first_ones_files(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text(WORKLOAD + "1,a,1,GPT-4,1,1,2,Conversation log\n")
    for _ in range(2):
        done = run_cli("up", "--events", str(source), "--speed", "max", "--out", str(tmp_path / "o"), timeout_s=110)
        assert done.returncode == 0, done.stdout + done.stderr
        time.sleep(1)
    assert len(list((tmp_path / "o" / "previous").glob("*/trace.csv"))) == 1


@pytest.mark.slow
@pytest.mark.timeout(340)
def test_bursts_fill_the_cache_and_failures_are_seen(tmp_path):
    done = run_cli("up", "--duration", "180", "--out", str(tmp_path), timeout_s=320)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BURST begins" in done.stdout
    failures = [line for line in done.stdout.splitlines() if "FAILURE begins" in line]
    assert failures
    assert all("in a burst" in line for line in failures)
    kv = [
        float(line.split("kv ")[1].split("%")[0]) for line in done.stdout.splitlines() if "kv " in line and "%" in line
    ]
    assert max(kv) > 90
    assert min(kv) < 60
    rows = _rows(tmp_path / "trace.csv")
    assert any(row.failed for row in rows)
    assert sum(row.failed for row in rows) < len(rows) / 2


@pytest.mark.slow
def test_ctrl_c_drains_and_leaves_the_trace(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "burstwatch", "up", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "00:10" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    replay = json.loads((tmp_path / "state" / "replay.json").read_text())
    assert len(_rows(tmp_path / "trace.csv")) == replay["sent"] > 10


@pytest.mark.slow
def test_azure_through_up_equals_the_input(tmp_path):
    if not AZURE.exists():
        pytest.skip(f"real trace not here: {AZURE}")
    done = run_cli("up", "--events", str(AZURE), "--speed", "max", "--out", str(tmp_path), timeout_s=110)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, out = _rows(AZURE), _rows(tmp_path / "trace.csv")
    day_us = rows[0].submitted_us // 86_400_000_000 * 86_400_000_000
    assert [(r.submitted_us - day_us, r.request_tokens, r.response_tokens) for r in rows] == [
        (r.submitted_us, r.request_tokens, r.response_tokens) for r in out
    ]
