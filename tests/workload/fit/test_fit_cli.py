"""The command: a model file that appears whole, what was found in words and as JSON, mistakes in one line."""

import json

import numpy as np
import pytest

from collector.schema.errors import OperatorError
from tests.support.known_workload import plain, renewal_us
from workload.fit.cli import build_parser, main
from workload.model.file import load_model
from workload.trace.write import write_trace


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "seen.csv"
    write_trace(plain(renewal_us(np.random.default_rng(1), 0.5, 1.0, span_s=1500)), path)
    return path


def test_the_model_is_written_and_told_in_words(trace, tmp_path, capsys):
    out = tmp_path / "model.toml"
    assert main([str(trace), "--out", str(out)]) == 0
    model = load_model(out.read_text(encoding="utf-8"))
    told = capsys.readouterr().out
    assert model.name == "seen"
    assert (model.source.file, model.source.rows) == ("seen.csv", model.source.rows)
    assert len(model.source.sha256) == 64
    for words in ("alpha", "least AIC", "lognormal", "requests/s", "time of day is not known", f"written to {out}"):
        assert words in told
    assert str(tmp_path) not in out.read_text(encoding="utf-8")  # where a file lay is nobody's business


def test_a_device_is_not_replaced_by_a_file(trace):
    with pytest.raises(OperatorError, match="it is a device or a pipe"):
        main([str(trace), "--out", "/dev/null"])


def test_json_is_one_object_and_the_file_is_the_same(trace, tmp_path, capsys):
    plain_out, json_out = tmp_path / "a.toml", tmp_path / "b.toml"
    main([str(trace), "--out", str(plain_out)])
    capsys.readouterr()
    assert main([str(trace), "--out", str(json_out), "--json", "--name", "seen"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert json_out.read_text() == plain_out.read_text()
    one = facts["classes"][0]
    assert one["arrivals"]["alpha_lower"] < 0.5 < one["arrivals"]["alpha_upper"]
    families = [candidate["family"] for candidate in one["arrivals"]["candidates"]]
    assert families[0] == "gamma"
    assert set(families) == {"gamma", "weibull", "lognormal", "exponential"}
    assert one["sessions"] is None
    assert facts["notes"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window-s", "1205"], "multiple of 10"),
        (["--out", "{trace}"], "would overwrite the trace"),
        (["--out", "{dir}/no/such/model.toml"], "cannot write"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(trace, tmp_path, options, words):
    before = sorted(tmp_path.iterdir())
    asked = [option.format(trace=trace, dir=tmp_path) for option in options]
    with pytest.raises(OperatorError, match=words):
        main([str(trace), "--out", str(tmp_path / "model.toml"), *asked])
    assert sorted(tmp_path.iterdir()) == before


def test_unknown_columns_are_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["t.csv", "--out", "m.toml", "--by", "model,tenant"])
    assert "'tenant' is none of service, model, log_type" in capsys.readouterr().err
    assert build_parser().parse_args(["t.csv", "--out", "m.toml"]).by == ("service", "model", "log_type")


def test_a_file_without_requests_is_one_clear_line(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n")
    with pytest.raises(OperatorError, match="no request"):
        main([str(path), "--out", str(tmp_path / "m.toml")])
