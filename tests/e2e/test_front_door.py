"""The front door where something is missing: what an install lacks is one line, what we broke is a traceback."""

import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from burstwatch import cli

ROOT = Path(cli.__file__).parents[1]
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
missing = sys.argv.pop(1)
sys.meta_path.insert(0, Absent())
from burstwatch.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("verb", "missing"), [("worker", "numpy"), ("page", "markdown_it"), ("up", "rich"), ("windows", "rich")]
)
def test_a_verb_that_an_agent_only_install_cannot_run_says_so_in_one_line(verb, missing):
    options = [] if verb == "up" else ["--kafka", "127.0.0.1:1"]
    command = [sys.executable, "-c", WITHOUT, missing, verb, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"burstwatch {verb}: the Python package {missing} is missing: an agent-only install")
    assert "pip install ." in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("missing", ["streams.processors.gone", "something_else"])
def test_a_module_that_is_no_dependency_of_ours_stays_a_traceback(monkeypatch, missing):
    def broken(_module):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(cli, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["worker"])


def test_every_dependency_of_the_package_is_known_by_the_name_it_is_imported_by():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {line.split(">")[0].strip() for line in asked}
    owners = packages_distributions()
    covered = {module: {owner.replace("_", "-") for owner in owners.get(module, ())} for module in cli.DEPENDENCIES}
    assert names <= set().union(*covered.values())
    assert {module for module, of in covered.items() if not of & names} == {"mode"}, "imported, and brought by Faust"


@pytest.mark.parametrize(
    "words",
    [["trace", "--help"], ["workload", "bench", "--simulate", "--cv", "1", "--duration-s", "20", "--json", "-"]],
)
def test_a_reader_who_has_seen_enough_is_no_error(words):
    command = [sys.executable, "-m", "burstwatch", *words]
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.join(command)} | true"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
