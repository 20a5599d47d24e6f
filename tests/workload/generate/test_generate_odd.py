"""`workload generate` with hostile names and hardly any requests: shown as they are, judged as little as they bear."""

import os
import subprocess
import sys

from burstwatch.cli import main
from tests.support.workload_models import api_class, model_of
from workload.model.file import dump_model
from workload.model.model import Failures


def generate(*options):
    return main(["workload", "generate", *map(str, options)])


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path, capsys):
    hostile = model_of(api_class(name="[/red]"), name="[bold]x[/nope]")
    (tmp_path / "m.toml").write_text(dump_model(hostile))
    assert generate("--model", tmp_path / "m.toml", "--duration-s", 20, "--out", tmp_path / "t.csv") == 0
    told = capsys.readouterr().err
    assert "model [bold]x[/nope]" in told
    assert "share of [/red]" in told


def test_a_trace_without_a_request_warns(tmp_path, capsys):
    (tmp_path / "m.toml").write_text(dump_model(model_of(api_class(), name="m")))
    options = ("--model", tmp_path / "m.toml", "--rate", 1e-9, "--out", tmp_path / "t.csv")
    assert generate(*options) == 0
    assert "warning: there is no request in it" in capsys.readouterr().err


def test_few_requests_are_not_called_different_for_want_of_a_tail(tmp_path, capsys):
    """With 50 requests most traces have none beyond the 99th percentile, and one failure of 16 is no news."""
    rare = model_of(api_class(failures=Failures(ratio=0.008)), name="rare")
    (tmp_path / "rare.toml").write_text(dump_model(rare))
    differs = 0
    for seed in range(6):
        options = ("--model", tmp_path / "rare.toml", "--rate", 5, "--duration-s", 10, "--seed", seed)
        assert generate(*options, "--out", tmp_path / "t.csv") == 0
        differs += "differs" in capsys.readouterr().err
    assert differs <= 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    """`workload generate --out - | head`: quiet, exit 0, of the built-in workload and of a model."""
    (tmp_path / "m.toml").write_text(dump_model(model_of(api_class(), name="m")))
    for source in ([], ["--model", str(tmp_path / "m.toml"), "--rate", "50"]):
        command = [sys.executable, "-m", "burstwatch", "workload", "generate", *source, "--duration-s", "300"]
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run([*command, "--out", "-"], stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writes)
        assert done.returncode == 0
        assert "Broken pipe" not in done.stderr
        assert "Traceback" not in done.stderr
