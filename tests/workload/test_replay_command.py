"""`burstwatch replay` as a command: summary and files, exit codes, hints, Ctrl-C, plain errors, events to Kafka."""

import asyncio
import csv
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from burstwatch.cli import main
from collector.schema.codec import decode, events_of
from collector.schema.events import Arrival, Completion, Kind, Outcome, Reason
from collector.schema.trace_rows import BURSTGPT_8, read_rows
from tests.support.replay_run import answer, odd_server, play, rows, trace_file
from workload.replay import screen
from workload.replay.answer import Answer
from workload.replay.events import EventStream, Identity
from workload.replay.output import PaperSheet, RequestsCsv, RequestsJsonl, SheetFile
from workload.replay.parser import build_parser, options_of
from workload.replay.record import Record
from workload.replay.result import COLUMNS
from workload.replay.schedule import Shot
from workload.replay.screen import hint, print_summary
from workload.replay.tally import Slo, Tally


def command(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "burstwatch", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def running_engine():
    process = command("engine", "--decode-tokens-per-s", "200")
    ready = json.loads(process.stdout.readline())
    yield ready
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_commands_work_together_and_the_results_agree(running_engine, tmp_path):
    trace = trace_file(tmp_path / "t.csv", rows(40, gap_s=0.01))
    out, measured, requests = (tmp_path / name for name in ("summary.json", "out.csv", "requests.csv"))
    done = command(
        *("replay", trace, "--url", f"{running_engine['url']}/v1", "--speed", "2", "--json", str(out)),
        *("--out", str(measured), "--requests", str(requests), "--warm-up", "4"),
    )
    stdout, stderr = done.communicate(timeout=30)
    assert (0, "") == (done.returncode, stdout), stderr
    assert f"wrote {out}: 36 sent, 36 ok, 0 failed, 0 cancelled\n" in stderr
    figures = json.loads(out.read_text())
    assert (36, 36, 0, 0, False, 4) == tuple(
        figures[name] for name in ("sent", "ok", "failed", "cancelled", "interrupted", "warm_up")
    )
    assert (360, 0.0) == (figures["response_tokens"], figures["prompt_tokens"]["error_ratio_max"])
    header, lines = read_rows(measured.read_text().splitlines())
    assert header.columns == BURSTGPT_8
    again = list(lines)
    assert [(20, 10)] * 36 == [(row.request_tokens, row.response_tokens) for row in again]
    assert [row.submitted_us for row in again] == sorted(row.submitted_us for row in again)
    assert all(row.elapsed_us > 0 for row in again)
    table = list(csv.DictReader(requests.read_text().splitlines()))
    assert list(COLUMNS) == list(table[0])
    assert ["false"] * 4 + ["true"] * 36 == [line["counted"] for line in table]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "requests.csv", "summary.json", "t.csv"]


def served(reply, *argv, on_request=lambda _process, _n: None):
    """Run the command against a server of this process; returns its exit code, stdout and stderr."""

    async def story():
        def answering(fields, request):
            on_request(process, len(server.asked))
            return reply(fields, request)

        async with odd_server(answering) as server:
            process = command(*[a.replace("URL", server.url) for a in argv])
            out, err = await asyncio.to_thread(process.communicate, timeout=30)
            return process.returncode, out, err

    return asyncio.run(story())


def test_ctrl_c_prints_what_was_measured_keeps_the_files_and_exits_0(tmp_path):
    trace, measured = trace_file(tmp_path / "t.csv", rows(5000, gap_s=0.01, response=2)), tmp_path / "out.csv"

    def interrupt(process, n):
        if n == 10:
            os.kill(process.pid, signal.SIGINT)

    argv = ("replay", trace, "--url", "URL", "--out", str(measured))
    code, out, err = served(lambda *_: answer(20), *argv, on_request=interrupt)
    assert code == 0, err
    assert "send lag" in out
    assert "Traceback" not in err
    assert 10 <= len(measured.read_text().splitlines()) - 1 < 5000


def test_a_second_ctrl_c_ends_it_at_once_and_leaves_nothing_behind(tmp_path):
    trace = trace_file(tmp_path / "t.csv", rows(500, gap_s=0.01, response=2))

    def interrupt(process, n):
        if n == 1:
            os.kill(process.pid, signal.SIGINT)
            threading.Timer(0.3, os.kill, (process.pid, signal.SIGINT)).start()

    async def never(*_):
        await asyncio.sleep(30)

    argv = ("replay", trace, "--url", "URL", "--out", str(tmp_path / "o.csv"), "--requests", str(tmp_path / "r.csv"))
    code, out, err = served(never, *argv, on_request=interrupt)
    assert (code, out) == (130, ""), err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_where_nothing_succeeds_the_exit_code_is_1_and_the_hint_says_why(tmp_path):
    trace = trace_file(tmp_path / "t.csv", rows(3))
    code, out, err = served(lambda *_: answer(20), "replay", trace, "--url", "URL_", "--json", "-", "--no-priority")
    figures = json.loads(out)
    assert (1, 3, {"404": 3}) == (code, figures["failed"], figures["http_statuses"])
    assert err.splitlines()[-1].startswith("burstwatch replay: every request got a 404: ")
    assert "does not end in /v1" in err


def summary_of(status, said="", **counts):
    return {"sent": 3, "ok": 0, "cancelled": 0, "http_statuses": {status: 3}, "first_failure": said, **counts}


@pytest.mark.parametrize(
    ("summary", "url", "words"),
    [
        (summary_of("404"), "http://x", "http://x does not end in /v1"),
        (summary_of("404", "no model m"), "http://x/v1/", 'the model is not there.*"no model m"'),
        (summary_of("401"), "http://x/v1", "--api-key-env"),
        (summary_of("400", "unknown ignore_eos"), "http://x/v1", "--no-ignore-eos"),
        (summary_of("503"), "http://x/v1", "no request succeeded"),
    ],
)
def test_a_hint_for_what_went_wrong_everywhere(summary, url, words):
    import re

    assert re.search(words, hint(summary, (url,)))


@pytest.mark.parametrize("counts", [{"ok": 1}, {"cancelled": 1}, {"sent": 0}])
def test_no_hint_where_something_came_of_it(counts):
    assert hint(summary_of("404", **counts), ("http://x",)) is None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--url", "127.0.0.1:80"], "--url must begin with http"),
        (["--url", "ftp://x"], "--url must begin with http"),
        (
            ["--url", "http://127.0.0.1:9/v1"],
            "9/v1/models: nothing listens there (connection refused); start the server",
        ),
        (["--url", "http://x/v1", "--api-key-env", "NO_SUCH_KEY"], "variable NO_SUCH_KEY is not set"),
        (["--url", "http://x/v1", "--service", "a b"], "--service must be"),
        (["--url", "http://x/v1", "--prompts", "/nowhere"], "cannot read --prompts"),
        (["--url", "http://x/v1", "--out", "/nowhere/x.csv"], "cannot write --out /nowhere/x.csv: there is no folder"),
        (["--url", "http://x/v1", "--json", "/nowhere/x.json"], "there is no folder /nowhere"),
        (["--url", "http://x/v1", "--prompts", "p", "--out", "p"], "--out p would overwrite the file of --prompts"),
        (["--url", "http://x/v1", "--out", "t.csv"], "--out t.csv would overwrite the trace"),
        (["--url", "http://x/v1", "--json", "o", "--out", "./o"], "--out ./o would overwrite the file of --json"),
        (["--url", "http://x/v1", "--out", "o", "--requests", "o"], "--requests o would overwrite the file of --out"),
        (["--url", "http://x/v1", "--requests", "/dev/null"], "it is a device or a pipe, not a file"),
        (["--url", "http://"], "is no URL; --url wants"),
        (["--url", "http://x/v1", "--format", "morse"], "known formats"),
        (["--url", "http://x/v1", "--events-kafka", "127.0.0.1:9"], "cannot reach Kafka at --events-kafka 127.0.0.1:9"),
    ],
)
def test_what_the_operator_can_mend_is_one_line_and_exit_code_2(argv, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("workload.replay.kafka_events.TIMEOUT_MS", 300)
    monkeypatch.chdir(tmp_path)
    trace = trace_file(tmp_path / "t.csv", rows(3))
    assert main(["replay", trace, "--no-priority", *argv]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("burstwatch replay: ")
    assert said in shown
    assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_taken_port_is_one_line_and_exit_code_2(running_engine):
    port = running_engine["url"].rsplit(":", 1)[1]
    process = command("engine", "--port", port)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"burstwatch engine: cannot listen on 127.0.0.1:{port}" in stderr
    assert "--port" in stderr


def test_the_key_comes_from_the_environment_and_is_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    args = build_parser().parse_args(["t.csv", "--url", "http://x/v1", "--api-key-env", "THE_KEY"])
    assert options_of(args).api_key == "sk-very-secret"
    assert "secret" not in repr(options_of(args))
    trace = trace_file(tmp_path / "t.csv", rows(2))
    seen = []

    def refuse(_, request):
        seen.append(request.headers["Authorization"])
        return 401, b'{"error":{"message":"bad key: sk-very-secret"}}'

    code, out, err = served(refuse, "replay", trace, "--url", "URL", "--api-key-env", "THE_KEY", "--json", "-")
    assert (1, {"Bearer sk-very-secret"}) == (code, set(seen))
    assert "bad key: ***" in out
    assert "secret" not in out + err


# ------------------------------------------------------------------------------------------------ what is written


def record(number, *, launched_s, sent_s=None, ended_s=None, outcome=Outcome.OK, counted=True, **seen):
    shot = Shot(at_s=launched_s, prompt_tokens=20, response_tokens=10, model="m", session=None, row=number)
    one = Record(number=number, shot=shot, counted=counted, planned_s=launched_s, start_s=100.0, launched_s=launched_s)
    one.sent_s = math.nan if sent_s is None else sent_s
    one.answer = Answer(**seen)
    if ended_s is not None:
        one.answer.end(100.0 + ended_s, outcome)
    return one


def test_lines_come_in_the_order_of_sending_and_wait_only_for_older_requests(tmp_path):
    file = SheetFile(str(tmp_path / "r.jsonl"), RequestsJsonl())
    made = [record(n, launched_s=float(n), sent_s=n + 0.1, ended_s=20.0 - n) for n in range(5)]
    for one in made:
        file.on_start(one)
    for one in reversed(made):
        file.on_end(one)
        held = len(file._held)
        assert held == (0 if one.number == 0 else 5 - one.number)
    assert not (tmp_path / "r.jsonl").exists(), "whole or not at all"
    file.close()
    assert [0, 1, 2, 3, 4] == [json.loads(line)["row"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]


def test_the_papers_columns_hold_what_was_measured():
    sheet = PaperSheet()
    ok = record(0, launched_s=1.0, sent_s=1.25, ended_s=3.5, request_tokens=22, response_tokens=9)
    assert sheet.line(ok) == "1.25,,2.25,m,22,9,31,API log\n"
    failed = record(1, launched_s=1.0, sent_s=2.0, ended_s=3.0, outcome=Outcome.FAILED, response_tokens=4)
    assert sheet.line(failed) == "2,,1,m,20,0,20,API log\n"
    cut = record(2, launched_s=1.0, sent_s=2.0, ended_s=3.0, outcome=Outcome.CANCELLED, chunks=3)
    assert sheet.line(cut) == "2,,1,m,20,3,23,API log\n"
    assert sheet.line(record(3, launched_s=1.0, ended_s=3.0)) is None
    assert sheet.line(record(3, launched_s=1.0, sent_s=1.0, ended_s=3.0, counted=False)) is None


def test_what_is_not_known_is_an_empty_cell_or_null():
    one = record(0, launched_s=1.0, sent_s=1.0, ended_s=2.0)
    cells = dict(zip(COLUMNS, next(csv.reader([RequestsCsv().line(one)])), strict=True))
    fields = json.loads(RequestsJsonl().line(one))
    for name in ("first_token_s", "itl_p50_s", "response_tokens", "reason", "session"):
        assert (cells[name], fields[name]) == ("", None)
    assert (cells["sent_s"], cells["counted"], fields["counted"]) == ("1.000000", "true", True)


def test_a_full_disk_is_told_at_the_end_and_leaves_no_half_file(tmp_path):
    file = SheetFile(str(tmp_path / "r.csv"), RequestsCsv())
    file._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closed by the file under test
    one = record(0, launched_s=0.0, sent_s=0.0, ended_s=1.0)
    for _ in range(200):
        file.on_start(one)
        file.on_end(one)
    with pytest.raises(Exception, match="No space left"):
        file.close()
    assert list(tmp_path.iterdir()) == []


def test_people_see_counts_quantiles_and_only_what_occurred(capsys):
    tally = Tally(Slo(ttft_s=0.5))
    for one in (
        record(0, launched_s=0.0, sent_s=0.0, ended_s=0.25, first_s=100.1, response_tokens=7, request_tokens=22),
        record(1, launched_s=1.5, sent_s=1.5, ended_s=1.6, outcome=Outcome.FAILED),
    ):
        tally.on_start(one)
        tally.on_sent(one)
        if one.number:
            one.answer.reason = Reason.OVERLOADED
        tally.on_end(one)
    print_summary(tally.summary(elapsed_s=2.0, skipped={"failed": 4, "bad": 0}, interrupted=True))
    shown = capsys.readouterr().out
    for said in ("overloaded", "1.33 requests/s", "p99 250.0", "rows failed", "+10.00%", "1 of 2"):
        assert said in shown
    for unsaid in ("rows bad", "retries", "waiting for a slot"):
        assert unsaid not in shown


def test_the_rate_is_that_of_the_time_after_the_warm_up():
    tally = Tally()
    for number in range(11):
        tally.on_start(record(number, launched_s=float(number), counted=number >= 6))
    figures = tally.summary(elapsed_s=20.0, skipped={}, interrupted=False)
    assert (6, 5, 4.0, 1.25) == tuple(figures[n] for n in ("warm_up", "sent", "sending_s", "rate_per_s"))


def test_goodput_counts_what_met_both_bounds():
    tally = Tally(Slo(ttft_s=0.5, tpot_s=0.1))
    for number, (first_s, ended_s, tokens, outcome) in enumerate(
        (
            (0.4, 0.8, 5, Outcome.OK),  # 0.1 s a further token: just met
            (0.6, 0.7, 5, Outcome.OK),  # its first token is late
            (0.4, 0.9, 5, Outcome.OK),  # its further tokens are slow
            (0.4, 9.0, 1, Outcome.OK),  # has no further token
            (0.4, 0.5, None, Outcome.OK),  # nobody counted its tokens: not known to be met
            (0.1, 0.2, 5, Outcome.FAILED),
        )
    ):
        one = record(number, launched_s=0.0, sent_s=0.0, first_s=100.0 + first_s, response_tokens=tokens)
        one.answer.end(100.0 + ended_s - 1e-9, outcome)  # sums of decimals are not exact
        tally.on_start(one)
        tally.on_end(one)
    assert tally.summary(elapsed_s=1.0, skipped={}, interrupted=False)["goodput"] == {
        "slo_ttft_s": 0.5,
        "slo_tpot_s": 0.1,
        "good": 2,
        "ratio": 0.333333,
        "per_s": None,
    }


# ------------------------------------------------------------------------------------------------ events


def test_events_are_what_an_agent_would_send_and_every_watermark_is_true():
    stream = EventStream(
        Identity(agent="replay-a", boot="b0", service="svc", node="a"), lambda at_s: 10**15 + round(at_s * 1e6)
    )

    async def story():
        async def slowly(*_):
            await asyncio.sleep(0.02)
            return answer(20, 10)

        async with odd_server(slowly) as server:
            task = asyncio.create_task(play(server.url, rows(30), observers=(stream,)))
            messages = []
            while not task.done():
                await asyncio.sleep(0.01)
                messages += stream.flush(asyncio.get_running_loop().time())
            return messages + stream.flush(asyncio.get_running_loop().time())

    batches = [decode(message.body) for message in asyncio.run(story())]
    assert [batch.seq for batch in batches] == list(range(len(batches)))
    assert {("replay-a", "b0", "svc")} == {(batch.agent, batch.boot, batch.key) for batch in batches}
    arrivals, completions, promised = {}, {}, 0
    for batch in batches:
        for one in events_of(batch):
            at = one.submitted_at if isinstance(one, Arrival) else one.ended_at
            assert at > promised, "an event that a watermark said would not come any more"
            (arrivals if batch.kind is Kind.ARRIVAL else completions)[one.id] = one
        promised = max(promised, batch.watermark or 0)
    assert len(arrivals) == 30
    assert arrivals.keys() == completions.keys()
    for name, end in completions.items():
        assert isinstance(end, Completion)
        assert end.submitted_at == arrivals[name].submitted_at <= end.first_token_at <= end.ended_at
        assert ("ok", 20, 10, 200) == (end.outcome, end.request_tokens, end.response_tokens, end.http_status)


def test_an_event_noticed_late_is_dated_after_what_was_promised():
    stream = EventStream(Identity(agent="r", boot="b", service="s", node="n"), lambda at_s: round(at_s * 1e6))
    one = record(0, launched_s=1.0, sent_s=1.0, ended_s=2.0)
    promised = decode(stream.flush(150.0)[0].body).watermark
    stream.on_sent(one)
    stream.on_end(one)
    end, begin = (events_of(decode(message.body))[0] for message in stream.flush(160.0))
    assert promised == 150_000_000
    assert promised < begin.submitted_at <= end.ended_at


def test_what_the_schema_refuses_is_counted_as_dropped():
    stream = EventStream(Identity(agent="r", boot="b", service="s", node="n"), lambda at_s: round(at_s * 1e6))
    one = record(0, launched_s=1.0, sent_s=1.0, ended_s=2.0)
    one.shot = Shot(at_s=0.0, prompt_tokens=1, response_tokens=1, model="my model", session=None)
    stream.on_sent(one)
    batch = decode(stream.flush(200.0)[0].body)
    assert (0, 1) == (batch.n, batch.dropped)


def test_without_a_terminal_a_replay_says_what_it_does_and_how_far_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(screen, "REFRESH_S", 0.001)
    monkeypatch.setattr(screen, "PLAIN_EVERY_S", 0.001)
    tally = Tally(Slo(None, None))

    async def watched():
        task = asyncio.create_task(screen.tell_progress(tally, lambda: 0.25, "t.csv to http://x/v1"))
        await asyncio.sleep(0.02)
        before = capsys.readouterr().err
        tally.sent = 5
        told = ""
        while told.count("\n") < 2:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().err
        task.cancel()
        return before, told.splitlines()

    before, told = asyncio.run(watched())
    assert before == ""
    assert told[0].startswith("replaying t.csv to http://x/v1; counts every")
    assert told[1].startswith("replay 25%  sent 5  ok 0  failed 0  open 5")
