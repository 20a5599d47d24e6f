"""`burstwatch workload generate`: what it writes, proves and refuses; without a model exactly what it always wrote."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from burstwatch.cli import main
from tests.support.shared_data import shared
from tests.support.workload_models import api_class, conversation_class, model_of
from tests.support.workload_traces import renewal
from workload.generate.models import built_in_models, find_model
from workload.model.file import dump_model
from workload.trace.read import read_trace
from workload.trace.write import write_trace

# What the built-in workload has always been: `burstwatch up` and published numbers rest on these bytes.
BUILT_IN = {
    ("--duration-s", "120"): "a74fe03aa612f19b673b1877aaaf7b4258d5441a0fbf7379857d0323e95047c4",
    ("--seed", "9", "--rate", "11", "--duration-s", "60"): (
        "98a7f6f244310d60b7b84141071dff67800218ae62c94384351ab25b78a5acce"
    ),
}


def generate(*options):
    return main(["workload", "generate", *map(str, options)])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    (folder / "m.toml").write_text(dump_model(model_of(api_class(rate_per_s=6.0), conversation_class(), name="m")))
    (folder / "talk.toml").write_text(dump_model(model_of(conversation_class(), name="talk")))
    write_trace(renewal(n=3000), folder / "t.csv")
    return folder


@pytest.mark.parametrize(
    "options", [pytest.param(one, marks=pytest.mark.slow if "9" in one else ()) for one in BUILT_IN]
)
def test_the_built_in_workload_is_the_same_to_the_last_byte(options, tmp_path, capsys):
    out = tmp_path / "t.csv"
    assert generate("--out", out, *options) == 0
    assert hashlib.sha256(out.read_bytes()).hexdigest() == BUILT_IN[options]
    assert json.loads(capsys.readouterr().err).keys() == {"rows", "seed", "bursts"}


def test_a_model_is_drawn_from_proved_and_written(files, tmp_path, capsys):
    out, proof = tmp_path / "t.csv", tmp_path / "p.json"
    options = ("--model", files / "m.toml", "--rate", 12, "--duration-s", 300, "--out", out, "--proof", proof)
    assert generate(*options) == 0
    trace = read_trace(out)
    assert len(trace) == 3600
    told = capsys.readouterr().err
    assert "model m: 3,600 requests in 300 s" in told
    assert "wrote 3,600 requests" in told
    tree = json.loads(proof.read_text())
    assert (tree["seed"], tree["bit_generator"]) == (1, "PCG64")
    made = tree["traces"][0]
    assert made["ok"] is True, [check for check in made["checks"] if check["ok"] is False]
    by_name = {check["name"]: check for check in made["checks"]}
    assert by_name["rate_per_s"]["realised"] == 12
    assert by_name["share of api"]["target"] == pytest.approx(6 / 7)
    assert by_name["cv of api"]["ok"] is True
    assert by_name["cv of api"]["target"] == pytest.approx(2**0.5)


def test_the_same_seed_and_options_give_the_same_bytes(files, tmp_path):
    def made(name, *options):
        assert generate("--model", files / "m.toml", "--duration-s", 60, "--out", tmp_path / name, *options) == 0
        return (tmp_path / name).read_bytes()

    assert made("a") == made("b", "--seed", "1") != made("c", "--seed", "2")


def test_two_models_are_mixed_by_name(files, tmp_path):
    out = tmp_path / "t.csv"
    models = ("--model", files / "m.toml", "--model", files / "talk.toml")
    assert generate(*models, "--mix", "m=1", "--mix", "talk=3", "--rate", 10, "--duration-s", 200, "--out", out) == 0
    trace = read_trace(out)
    assert len(trace) == 2000
    assert np.count_nonzero(trace.log_type.is_in("API log")) == round(500 * 6 / 7)


def test_a_sweep_writes_a_file_for_each_cv_with_the_same_requests(files, tmp_path, capsys):
    options = ("--trace", files / "t.csv", "--sweep", "cv=0.5,1,4", "--rate", 5, "--duration-s", 200)
    assert generate(*options, "--out", tmp_path / "s.csv", "--json") == 0
    written = capsys.readouterr()
    names = ["s-cv0.5.csv", "s-cv1.csv", "s-cv4.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    traces = [read_trace(tmp_path / name) for name in names]
    for trace in traces:
        assert len(trace) == 1000
        assert np.array_equal(trace.request_tokens, traces[0].request_tokens)
    tree = json.loads(written.out)
    assert [one["cv_target"] for one in tree["traces"]] == [0.5, 1.0, 4.0]
    for one in tree["traces"]:
        cv = next(check for check in one["checks"] if check["name"] == "cv")
        assert cv["realised"] == pytest.approx(one["cv_target"], rel=0.05)
        drawn = "1 draw" if one["draws"] == 1 else f"of {one['draws']} draws"
        assert drawn in one["notes"][0]
        assert 1 <= one["draws"] <= 64
        # Drawn again only while the CV is farther off than 1 %.
        assert one["draws"] == 64 or cv["realised"] == pytest.approx(one["cv_target"], rel=0.0101)
    assert max(one["draws"] for one in tree["traces"]) > 1
    assert "drawn until the CV is within 1% of the asked one, 64 times at most" in written.err
    assert "the same in the same order" in written.err


@pytest.mark.parametrize("source", [(), ("--model", "m.toml")])
def test_a_sweep_needs_no_trace(files, tmp_path, source):
    options = [files / part if part.endswith(".toml") else part for part in source]
    assert generate(*options, "--cv", 2, "--rate", 3, "--duration-s", 100, "--out", tmp_path / "s.csv") == 0
    assert len(read_trace(tmp_path / "s.csv")) == 300


def test_burstiness_is_not_changed_unless_accepted_and_nothing_is_written(files, tmp_path, capsys):
    out = tmp_path / "t.csv"
    options = ("--trace", files / "t.csv", "--by", "thin", "--rate", 0.5, "--out", out)
    assert generate(*options) == 2
    said = capsys.readouterr().err
    assert said.startswith("burstwatch workload: --by thin would change the burstiness: CV of the gaps from 2")
    assert "--by model keeps it" in said
    assert said.count("\n") == 1
    assert not out.exists()
    assert generate(*options, "--accept-burstiness-change") == 0
    assert "warning: --by thin changed the burstiness: CV of the gaps from 2" in capsys.readouterr().err
    assert len(read_trace(out)) == 750


def test_the_ways_that_keep_burstiness_are_done_without_a_warning(files, tmp_path, capsys):
    for by in ("compress", "model"):
        assert generate("--trace", files / "t.csv", "--by", by, "--rate", 8, "--out", tmp_path / by) == 0
        told = capsys.readouterr().err
        assert "warning" not in told
        assert "differs" not in told


def test_compressing_sessions_warns_of_their_think_times(files, tmp_path, capsys):
    talk = tmp_path / "talk.csv"
    assert generate("--model", files / "talk.toml", "--duration-s", 1000, "--out", talk) == 0
    assert generate("--trace", talk, "--by", "compress", "--rate", 5, "--out", tmp_path / "x.csv") == 0
    assert "think times within sessions are divided by 5, too" in capsys.readouterr().err


def test_start_begins_inside_the_trace_and_the_clock_at_zero(files, tmp_path):
    out = tmp_path / "t.csv"
    source = read_trace(files / "t.csv")
    late = source.take(source.submitted_us - source.submitted_us[0] >= 600_000_000)
    assert generate("--trace", files / "t.csv", "--by", "compress", "--start", "0:10", "--rate", 1, "--out", out) == 0
    made = read_trace(out)
    assert made.request_tokens.tolist() == late.request_tokens.tolist()
    assert made.submitted_us[0] == 0


def test_to_stdout_is_the_file_and_nothing_else(files, tmp_path, capsys):
    options = ("--model", files / "m.toml", "--duration-s", 20)
    assert generate(*options, "--out", tmp_path / "t.csv") == 0
    capsys.readouterr()
    assert generate(*options, "--out", "-") == 0
    assert capsys.readouterr().out == (tmp_path / "t.csv").read_text()


REFUSED = {
    "--trace t.csv --out x": "--trace needs --by (compress, superpose, thin, model), --sweep or --cv",
    "--trace t.csv --model m.toml --by thin --out x": "--model and --trace: one of them",
    "--by thin --out x": "--by needs --trace",
    "--mix a=1 --out x": "--mix needs --model",
    "--steady --out x": "--steady needs --model",
    "--start 5 --out x": "--start needs --model or --trace",
    "--proof p.json --out x": "--proof and --json need --model, --trace or --sweep",
    "--trace t.csv --by thin --cv 2 --out x": "--by keeps the trace's burstiness",
    "--trace t.csv --by thin --rate 99 --out x": "thinning cannot make it more",
    "--trace t.csv --by superpose --rate 1e5 --out x": "copies are needed for that rate",
    "--trace t.csv --by superpose --rate 1e9 --out x": "at most 200,000,000 are made at once",
    "--trace t.csv --by compress --rate 5 --duration-s 9999 --out x": "the trace has 3000 requests there",
    "--trace t.csv --by model --duration-s 9999 --out x": "the trace lasts 1500",
    "--trace t.csv --by model --start 99999 --out x": "the trace has 0 requests from --start 99999 s on",
    "--trace nope.csv --by thin --out x": "cannot read",
    "--model nope --out x": "no such file, and no model of that name",
    "--model nope.toml --out x": "cannot read --model nope.toml",
    "--model t.csv --out x": "--model t.csv: the model file has 1 problem:",
    "--model m.toml --mix b=1 --out x": "--mix b: no such name; there are api, conversation",
    "--model m.toml --mix api=0 --out x": "at least one share must be above zero",
    "--model m.toml --mix api=1 --mix api=2 --out x": "--mix api: given more than once",
    "--model m.toml --model m.toml --out x": "two models are named 'm'",
    "--model m.toml --rate 1e9 --out x": "at most 200,000,000 are made at once",
    "--sweep cv=1,2 --out -": "a sweep is several traces",
    "--cv 2 --json --out -": "--json writes to stdout",
    "--sweep cv=1 --cv 1 --out x": "--sweep and --cv: one of them",
    "--model m.toml --sweep cv=1 --rate 0.001 --out x": "2 are needed",
    "--cv 2 --seed -1 --out x": "--seed must be 0 or more",
    "--model m.toml --duration-s 9 --out no/dir.csv": "cannot write",
    "--model m.toml --duration-s 9 --out .": "it is a folder",
    "--model m.toml --duration-s 9 --out /dev/null": "it is a device or a pipe, not a file",
    "--model m.toml --duration-s 9 --out m.toml": "--out m.toml would overwrite --model m.toml",
    "--trace t.csv --by model --rate 3 --out t.csv": "--out t.csv would overwrite --trace t.csv",
    "--sweep cv=1,2 --duration-s 9 --trace t.csv --out x.csv --proof t.csv": "--proof t.csv would overwrite --trace",
    "--model m.toml --duration-s 9 --out x --proof x": "--proof x would overwrite the trace that is made",
    "--model m.toml --duration-s 9 --out x --proof no/p.json": "there is no folder no",
    "--model burstgpt-api --duration-s 1e12 --rate 1e-9 --out x": "rounds of the model's timeline",
    "--model burstgpt-api --duration-s 1e300 --out x": "--duration-s must be 1e+12 at most",
    "--duration-s 1e9 --rate 1e3 --out x": "at most 5,000,000 of the built-in workload are made",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_is_told_in_a_line_and_nothing_is_written(line, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert generate(*line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("burstwatch workload: ")
    assert REFUSED[line] in said
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--sweep=0.5,1", "must look like cv=0.5,1,2,4,8"),
        ("--sweep=cv=1,1", "names a CV twice"),
        ("--sweep=cv=1,1.0000001", "names a CV twice"),  # both would be x-cv1.csv
        ("--mix=x=1e308", "must look like NAME=0.3"),  # adding two would be infinite
        ("--start=abc", "must be seconds or H:MM"),
        ("--start=1:99", "must be seconds or H:MM"),
        ("--start=1:2:3", "must be seconds or H:MM"),
        ("--sweep=cv=1,-1", "must be above zero"),
        ("--cv=1000", "a CV must be 0.01 to 100"),
        ("--mix=x", "must look like NAME=0.3"),
        ("--mix=x=-1", "must look like NAME=0.3"),
        ("--start=-5", "must be seconds or H:MM"),
        ("--rate=nan", "must be above zero"),
        ("--by=magic", "invalid choice"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(option, said, capsys):
    with pytest.raises(SystemExit) as caught:
        generate(option, "--out", "x")
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_models_every_problem_is_told(files, tmp_path, capsys):
    bad = tmp_path / "bad.toml"
    bad.write_text(
        (files / "m.toml").read_text().replace("alpha = 0.5 ", "alpha = 0 ").replace('kind = "sess', 'kind = "x')
    )
    assert generate("--model", bad, "--out", tmp_path / "x") == 2
    said = capsys.readouterr().err
    assert "class[0].arrivals.alpha" in said
    assert "class[1].arrivals.kind" in said


@pytest.mark.parametrize("name", ["burstgpt-api", "burstgpt-conversation"])
def test_the_models_that_come_along_are_found_and_drawn_from(name, tmp_path):
    if name not in built_in_models():
        pytest.skip("no built-in models yet")
    assert find_model(name).name == name
    assert generate("--model", name, "--rate", 5, "--duration-s", 60, "--out", tmp_path / "t.csv") == 0
    assert len(read_trace(tmp_path / "t.csv")) == 300


def test_a_real_trace_is_played_faster_as_bursty_as_it_was(tmp_path, capsys):
    source = shared("azure/AzureLLMInferenceTrace_code.csv")
    proof = tmp_path / "p.json"
    out = tmp_path / "t.csv"
    assert generate("--trace", source, "--by", "superpose", "--rate", 8, "--out", out) == 2
    assert "--by model keeps it" in capsys.readouterr().err
    assert generate("--trace", source, "--by", "model", "--rate", 8, "--out", out, "--proof", proof) == 0
    made = json.loads(proof.read_text())["traces"][0]
    assert made["ok"] is True
    assert made["warnings"] == []
    cv = next(check for check in made["checks"] if check["name"] == "cv")
    assert cv["realised"] == pytest.approx(cv["target"], rel=0.1)


def test_a_trace_that_is_not_its_models_is_found_out():
    """The proof of a model must be able to fail."""
    from workload.generate.from_model import generate as draw
    from workload.generate.proof import Drawn, prove_model
    from workload.model.model import Failures, Timeline

    timeline = Timeline(start_s=(0.0, 300.0), rate_per_s=(5.0, 3.0), alpha=(0.4, 0.3))
    timed = model_of(api_class(timeline=timeline, window_s=300.0, rate_per_s=4.0))
    played = Drawn(duration_s=6000.0, rate_per_s=4.0)
    made = draw(timed, np.random.default_rng(1), duration_s=6000.0)
    assert prove_model(timed, made, played).ok
    flat = draw(timed, np.random.default_rng(1), duration_s=6000.0, steady=True)
    found = {check.name: check.ok for check in prove_model(timed, flat, played).checks}
    assert found["median alpha(t) of api"] is False

    model = model_of(api_class(failures=Failures(ratio=0.3)))
    other = model_of(api_class(alpha=4.0, failures=Failures(ratio=0.1)))
    made = draw(other, np.random.default_rng(1), duration_s=600.0)
    drawn = Drawn(duration_s=600.0, rate_per_s=5.0, shares={"api": 1.0})
    found = {check.name: check.ok for check in prove_model(model, made, drawn).checks}
    assert found["rate_per_s"] is True
    assert found["failed of api"] is False
    assert found["cv of api"] is False
    assert found["KS of gaps of api"] is False
    assert prove_model(replace(other), made, drawn).ok


def test_the_words_of_the_proof_are_explained_under_it(files, tmp_path, capsys):
    assert generate("--model", files / "m.toml", "--duration-s", 60, "--out", tmp_path / "o.csv") == 0
    told = capsys.readouterr().err
    assert "stated: what came of it; there is nothing to hold it against" in told
    assert "too few: " not in told
    write_trace(renewal(n=4), tmp_path / "four.csv")
    assert generate("--trace", tmp_path / "four.csv", "--rate", 1, "--by", "model", "--out", tmp_path / "f.csv") == 0
    told = capsys.readouterr().err
    assert "too few: too few requests in the source" in told
    assert generate("--cv", 2, "--out", tmp_path / "s.csv") == 0
    alpha = next(line for line in capsys.readouterr().err.splitlines() if "alpha" in line)
    assert "20.00% or interval" in alpha
