"""The dashboards command: stale files by name, rules with the user's addresses."""

from pathlib import Path

import pytest
import yaml

from burstwatch.cli import main as burstwatch
from dashboards import generate
from dashboards.rules import ALERTS


def test_check_names_what_is_stale_and_exits_1(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "checkout", lambda: tmp_path)
    assert burstwatch(["dashboards", "generate", "--check"]) == 1
    assert "stale: METRICS.md" in capsys.readouterr().err
    assert burstwatch(["dashboards", "generate"]) == 0
    assert "wrote METRICS.md" in capsys.readouterr().out
    assert burstwatch(["dashboards", "generate", "--check"]) == 0


def test_generate_outside_a_checkout_says_so(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "__file__", str(tmp_path / "site-packages" / "dashboards" / "generate.py"))
    assert burstwatch(["dashboards", "generate"]) == 2
    assert "needs a source checkout" in capsys.readouterr().err


def rules_of(text: str, form: str) -> list[dict]:
    printed = yaml.safe_load(text)
    return [
        rule for group in (printed["spec"] if form == "kubernetes" else printed)["groups"] for rule in group["rules"]
    ]


@pytest.mark.parametrize("form", ["prometheus", "grafana", "kubernetes"])
def test_rules_are_printed_with_the_users_own_addresses(capsys, form):
    own = ["--grafana-url", "https://g.example/", "--runbook-url", "https://r.example/@team/book/"]
    assert burstwatch(["dashboards", "rules", "--format", form, *own]) == 0
    told = [rule["annotations"] for rule in rules_of(capsys.readouterr().out, form) if "annotations" in rule]
    assert len(told) == len(ALERTS)
    for alert, words in zip(ALERTS, told, strict=True):
        assert words["runbook_url"] == f"https://r.example/@team/book#{alert.alert.lower()}"
        assert words["dashboard_url"].startswith("https://g.example/d/burstwatch-")


def test_rules_without_addresses_are_the_committed_ones(capsys):
    assert burstwatch(["dashboards", "rules"]) == 0
    assert capsys.readouterr().out == generate.files()["dashboards/generated/rules/burstwatch.yml"]


def test_an_address_for_links_has_to_be_one(capsys):
    assert burstwatch(["dashboards", "rules", "--grafana-url", "grafana.example"]) == 2
    assert "--grafana-url grafana.example: give an address such as" in capsys.readouterr().err
