"""Every alert by promtool: it fires, not before its time, not just below its threshold, and it clears."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dashboards.rules import ALERTS, rules_yaml
from tests.support.alert_cases import CASES, SILENCES
from tests.support.promtool import check

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def test_no_alert_is_without_a_case():
    assert {alert.alert for alert in ALERTS} == {case.alert for case in CASES}
    assert len({case.name for case in [*CASES, *SILENCES]}) == len(CASES) + len(SILENCES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_fires_in_time_not_just_below_and_clears(tmp_path: Path, case):
    assert check(tmp_path, case) == ""


@pytest.mark.parametrize("case", SILENCES, ids=[case.name for case in SILENCES])
def test_it_does_not_sound_for(tmp_path: Path, case):
    assert check(tmp_path, case) == ""


def test_promtool_finds_nothing_to_complain_of(tmp_path: Path):
    (tmp_path / "rules.yml").write_text(rules_yaml())
    subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yml")], check=True
    )
