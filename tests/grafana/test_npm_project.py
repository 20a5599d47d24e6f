"""The npm project installs the same everywhere: exact versions, one Grafana, and no registry's address."""

import json
import re

from tests.grafana.node import HERE

LOCK = json.loads((HERE / "package-lock.json").read_text())["packages"]
WANTED = json.loads((HERE / "package.json").read_text())["dependencies"]


def test_every_version_is_exact_and_is_the_one_that_is_locked():
    for name, version in WANTED.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert LOCK[f"node_modules/{name}"]["version"] == version


def test_all_of_grafana_is_of_one_version():
    names = [path for path in LOCK if re.search(r"@grafana/(data|e2e-selectors|i18n|schema|ui)$", path)]
    assert len(names) == 5
    assert {WANTED["@grafana/data"]} == {LOCK[name]["version"] for name in names}


def test_the_lock_names_no_registry_and_vouches_for_every_package():
    packages = {path: package for path, package in LOCK.items() if path}
    assert len(packages) > 100
    assert not [path for path, package in packages.items() if "resolved" in package]
    assert not [path for path, package in packages.items() if not package.get("integrity")]
