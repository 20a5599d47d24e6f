"""Are the promtool cases any good? Change a threshold by a few per cent, or rename a metric, and one must complain."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import yaml

from dashboards.rules import ALERTS, rules_yaml
from tests.support.alert_cases import CASES, SILENCES
from tests.support.promtool import check, needed_by

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"),
]

COMPARED = re.compile(r"([<>=]=?) (\d+(?:\.\d+)?)\b")
METRIC = re.compile(r"(?<![\w:])(?:burstwatch_\w+|up|scrape_\w+)(?=[{\[)\s]|$)")
SHIFT = 0.07  # relative


def _shifted(expr: str):
    """The expression with one threshold a little lower or higher; one that is 0 with 0 itself let in."""
    for found in COMPARED.finditer(expr):
        sign, number = found.groups()
        if float(number) == 0:
            changes = [f"{sign}= 0"] if sign == ">" else []
        else:
            changes = [f"{sign} {float(number) * (1 + shift):.6g}" for shift in (-SHIFT, SHIFT)]
        for changed in changes:
            yield f"{found[0]} -> {changed}", expr[: found.start()] + changed + expr[found.end() :]


def _renamed(expr: str):
    for found in METRIC.finditer(expr):
        yield f"{found[0]} renamed", expr[: found.end()] + "_x" + expr[found.end() :]


def _mutants(alert: str):
    """Every rule set that differs from the real one in one place of what the alert needs."""
    groups = needed_by(alert, yaml.safe_load(rules_yaml())["groups"])
    for at, group in enumerate(groups):
        for number, rule in enumerate(group["rules"]):
            changes = [*_renamed(rule["expr"]), *(_shifted(rule["expr"]) if "alert" in rule else [])]
            for what, expr in changes:
                mutant = copy.deepcopy(groups)
                mutant[at]["rules"][number]["expr"] = expr
                yield f"{rule.get('alert', rule.get('record'))}: {what}", mutant


@pytest.mark.timeout(600)
@pytest.mark.parametrize("alert", [alert.alert for alert in ALERTS])
def test_no_mutant_survives(tmp_path: Path, alert):
    cases = [case for case in [*CASES, *SILENCES] if case.alert == alert]
    mutants = list(_mutants(alert))
    assert mutants
    survivors = [what for what, groups in mutants if not any(check(tmp_path, case, groups) for case in cases)]
    assert not survivors
