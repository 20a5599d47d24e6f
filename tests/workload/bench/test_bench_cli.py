"""`burstwatch workload bench` as a command: text, JSON, pages, mistakes, an early end."""

import json
import os
import sys
from pathlib import Path

import pytest

from collector.schema.errors import OperatorError
from workload.bench.cli import main
from workload.bench.simulation import Simulation

QUICK = ["--simulate", "--cv", "0.5,8", "--duration-s", "10", "--repeats", "1", "--kv-blocks", "900"]
RUN_KEYS = {
    "cv_target", "cv", "rate_per_s", "ttft_s", "latency_s", "itl_s", "throughput_tokens_per_s", "goodput_per_s",
    "slo_ok_ratio", "failed_ratio", "failures", "kv_usage_peak", "kv_usage_p99", "kv_time_full_ratio", "preemptions",
    "waiting_peak", "series",
}  # fmt: skip


def bench(capsys, *options):
    code = main([*QUICK, "--json", "-", *options])
    return code, json.loads(capsys.readouterr().out)


def test_json_says_everything_the_reports_are_made_of(capsys):
    code, result = bench(capsys, "--rate", "2,4", "--duration-s", "6")
    assert code == 0
    assert result["complete"]
    points = [(run["rate_target_per_s"], run["cv_target"]) for run in result["runs"]]
    assert [(2.0, 0.5), (2.0, 8.0), (4.0, 0.5), (4.0, 8.0)] == points
    assert all(set(run) >= RUN_KEYS for run in result["runs"])
    series = result["runs"][0]["series"]
    assert len({len(column) for column in series.values()}) == 1
    assert len(series["t_s"]) >= 12
    assert {"simulated", "kv_blocks"} <= set(result["server"])
    assert result["server"]["kv_tokens"] == 900 * 16
    assert len(result["verdict"]["rate_headroom"]) == 2
    assert len(result["verdict"]["kv_headroom"]) == 4
    assert any("nothing was measured on a GPU" in line for line in result["assumptions"])


def test_the_same_seed_gives_the_same_figures_and_another_one_others(capsys):
    first, again, other = (bench(capsys, "--cv", "2", "--seed", seed)[1] for seed in ("1", "1", "2"))
    assert (first["runs"], first["verdict"]) == (again["runs"], again["verdict"])
    assert first["runs"] != other["runs"]


def test_text_and_files_are_written(capsys, tmp_path):
    assert main([*QUICK, "--cv", "2", "--out", str(tmp_path / "made"), "--html", str(tmp_path / "report.html")]) == 0
    told = capsys.readouterr().out
    assert "requests/s the objective" in told
    assert "SLO met" in told
    result = json.loads((tmp_path / "made" / "bench.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert result["verdict"]["sentences"][0] in told.replace("\n", " ").replace("  ", " ")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["bench.html", "bench.json"]


def test_a_simulation_needs_neither_polars_nor_matplotlib(capsys, monkeypatch, tmp_path):
    for name in ("polars", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert bench(capsys, "--cv", "1", "--out", str(tmp_path))[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]
    with pytest.raises(OperatorError, match="--html needs matplotlib"):
        main([*QUICK, "--html", str(tmp_path / "report.html")])


def test_a_missed_objective_can_fail_a_build(capsys):
    calm = ["--fail-if-missed", "--cv", "0.5"]
    assert bench(capsys, *calm, "--failed-max", "0", "--kv-blocks", "50")[0] == 1
    assert bench(capsys, *calm, "--slo-ttft-s", "none", "--slo-tpot-s", "none")[0] == 0


def test_an_interrupt_reports_what_was_measured(capsys, monkeypatch):
    sweep = Simulation.sweep

    def interrupted(self):
        yield next(sweep(self))
        raise KeyboardInterrupt

    monkeypatch.setattr(Simulation, "sweep", interrupted)
    code, result = bench(capsys)
    assert (0, False, 1) == (code, result["complete"], len(result["runs"]))
    assert result["verdict"]["sentences"][-1] == "Ended early: 1 of 2 points were measured."


def test_lengths_come_from_a_trace_or_a_model(capsys, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "1,ChatGPT,100,20,120,API log\n2,ChatGPT,300,40,340,API log\n3,ChatGPT,70,0,70,API log\n"
    )
    told = [
        bench(capsys, "--cv", "1", *of)[1]["workload"] for of in (["--trace", str(path)], ["--model", "burstgpt-api"])
    ]
    assert ["trace.csv", "burstgpt-api"] == [workload["name"] for workload in told]
    assert (200.0, 30.0) == (told[0]["request_tokens_mean"], told[0]["response_tokens_mean"])
    assert 300 < told[1]["request_tokens_mean"] < 700


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--simulate", "--rate", "0.1", "--duration-s", "10"], "too few to have a burstiness"),
        (["--simulate", "--rate", "1e9"], "1.2e.11 requests in one run"),
        (["--simulate", "--cv", "0.001"], "--cv must be"),
        (["--simulate", "--model", "a", "--trace", "b"], "give one of them"),
        (["--simulate", "--trace", "/nowhere/trace.csv"], "cannot read the trace"),
        (["--simulate", "--html", "/nowhere/report.html"], "there is no folder"),
        (["--simulate", "--html", "-"], "only --json takes -"),
        (["--simulate", "--json", "/"], "it is a folder"),
        (["--url", "localhost:8000"], "must begin with http"),
        (["--url", "http://127.0.0.1:9/v1", "--kv-blocks", "99"], "--kv-blocks: of the simulated engine"),
        (["--url", "http://127.0.0.1:9/v1", "--api-key-env", "BURSTWATCH_NO_SUCH_KEY"], "is not set"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_measured(options, said):
    with pytest.raises(OperatorError, match=said):
        main(options)


def test_a_server_that_is_not_there_is_told_in_one_line():
    with pytest.raises(OperatorError, match=r"127\.0\.0\.1:9"):
        main(["--url", "http://127.0.0.1:9/v1", "--duration-s", "20", "--cv", "1"])


def test_a_folder_that_may_not_be_written_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    with pytest.raises(OperatorError, match="may not be written"):
        main([*QUICK, "--out", str(tmp_path)])


@pytest.mark.parametrize("warm_up_s", ["nan", "-1", "inf"])
def test_a_warm_up_is_a_time(warm_up_s, capsys):
    with pytest.raises(SystemExit):
        main(["--url", "http://127.0.0.1:9/v1", "--warm-up-s", warm_up_s])
    assert "--warm-up-s: must be zero or more" in capsys.readouterr().err


def test_memory_that_would_do_is_never_told_as_not_enough(capsys):
    """2 blocks refuse nearly all for good; what serves them is more than 64 times as much."""
    result = bench(capsys, "--cv", "1", "--rate", "1", "--kv-blocks", "2", "--slo-ttft-s", "60")[1]
    (memory,) = result["verdict"]["kv_headroom"]
    assert memory["best_ratio"] == 1.0
    assert memory["factor"] > 64
    assert not any("no amount of KV memory" in text for text in result["verdict"]["sentences"])


def test_a_burstiness_that_so_few_requests_cannot_have_is_said_to_be_another(capsys):
    """20 requests of CV 100 fall into one instant: the calmest run of all, if nobody said so."""
    result = bench(capsys, "--cv", "1,100", "--duration-s", "5")[1]
    calm, wild = result["runs"]
    assert wild["cv"] < calm["cv"]
    (told,) = [text for text in result["verdict"]["sentences"] if "NOT THE BURSTINESS" in text]
    assert "for CV 100 at 4/s" in told
    assert "for CV 1 " not in told
    sound = bench(capsys, "--cv", "1,2", "--duration-s", "20")[1]
    assert not any("NOT THE BURSTINESS" in text for text in sound["verdict"]["sentences"])


def test_the_verdict_uses_the_words_of_the_documents(capsys):
    """Headroom is what is left, more is better; need is what it takes, less is better."""
    sentences = bench(capsys, "--cv", "1,8", "--rate", "3")[1]["verdict"]["sentences"]
    assert sum(text.startswith("Rate headroom, up to which the objective holds: ") for text in sentences) == 1
    assert sum(text.startswith("KV need of 3/s: ") for text in sentences) == 1


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr("workload.bench.screen.PLAIN_EVERY_S", 0.0)
    assert main([*QUICK, "--cv", "2"]) == 0
    assert "bench: CV 2 at " in capsys.readouterr().err
    assert main([*QUICK, "--cv", "2", "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trace", "t.csv", "--json", "./t.csv"], "t.csv would overwrite t.csv"),
        (["--trace", "t.csv", "--html", "t.csv"], "t.csv would overwrite t.csv"),
        (["--model", "t.csv", "--json", "t.csv"], "t.csv would overwrite t.csv"),
        (["--html", "r", "--json", "r"], "r would overwrite another result"),
        (["--json", "/dev/null"], "it is a device or a pipe, not a file"),
    ],
)
def test_a_result_never_overwrites_what_was_read_or_a_device(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("precious")
    with pytest.raises(OperatorError, match=said):
        main([*QUICK, *options])
    assert Path("t.csv").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
