"""Rules ask only for what is exported, with labels it has; every number has its place; all files say the same."""

import io
import re
import tokenize
from pathlib import Path

import pytest
import yaml

from dashboards.boards import BOARDS
from dashboards.links import Links
from dashboards.rules import (
    ALERTS,
    GROUPS,
    RECORDINGS,
    grafana_alerting_yaml,
    prometheus_rule_manifest,
    rules_yaml,
    thresholds,
)
from dashboards.rules.worker import JOBS
from streams.export.catalogue import CATALOGUE, MetricType
from streams.processors.engine_track import FULL_RATIO
from streams.stats.burn_rate import BURN_RULES
from tests.support import promql
from tests.support.promtool import BY_NAME, seconds

ROOT = Path(__file__).parents[2]
RECORDED = {recording.record: recording.expr for recording in RECORDINGS}
SCRAPED = {"job", "instance"}  # what Prometheus adds to everything
OWN = {"up", "scrape_samples_post_metric_relabeling"}  # what Prometheus says of a scrape
OVER_TIME = {"rate", "increase"}
LEVELS = {
    "service": {"service"},
    "engine": {"service", "node", "engine"},
    "gpu": {"node", "gpu", "mig"},
    "topic": {"topic"},
    "instance": SCRAPED,
}
EXPRESSIONS = [(r.record, r.expr) for r in RECORDINGS] + [(a.alert, a.expr) for a in ALERTS]
TEMPLATE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
# No `humanize`, which writes 19.73 and 169.2m. The second argument of `lt` is a float, as the value is.
TOLD = re.compile(
    r"\$labels\.(\w+)|\$value \| (humanize(1024|Percentage|Duration)|printf \"%\.[01]f\")|if lt \$value \d+\.0|else|end"
)
COMPARED = re.compile(r"(?:[<>=]=?) (-?\d+(?:\.\d+)?)\b")
ELSEWHERE = Links(grafana_url="https://grafana.example/sub/", runbook_url="https://wiki.example/runbook/")

by_expression = pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
by_alert = pytest.mark.parametrize("alert", ALERTS, ids=[alert.alert for alert in ALERTS])


def labels_of(name: str) -> set[str]:
    if name in RECORDED:
        return set(promql.labels(RECORDED[name], labels_of))
    return SCRAPED if name in OWN else SCRAPED | set(CATALOGUE[name].labels)


@by_expression
def test_every_metric_and_label_asked_for_is_exported(where, expr):
    assert promql.uses(expr)
    for use in promql.uses(expr):
        assert use.name in CATALOGUE or use.name in RECORDED or use.name in OWN, f"nobody exports {use.name}"
        assert use.labels <= labels_of(use.name), f"{use.name} has no such label"
    for grouping in promql.groupings(expr):
        for name in grouping.names:
            assert grouping.labels <= labels_of(name), f"{name} cannot be grouped by {set(grouping.labels)}"


@by_expression
def test_counters_are_rated_and_gauges_are_not(where, expr):
    uses = [use for use in promql.uses(expr) if use.name in CATALOGUE]
    rated = {use.name for use in uses if use.function in OVER_TIME}
    for use in uses:
        counter = CATALOGUE[use.name].type is MetricType.COUNTER
        # A counter as it stands only beside its increase: what appeared within the window counts in full.
        assert (use.name in rated) == counter, f"{where}: {use.name}"


@by_alert
def test_alerts_have_the_labels_they_say_and_speak_of_no_other(alert):
    assert set(alert.labels) == promql.labels(alert.expr, labels_of)
    assert "instance" not in alert.labels or "job" in alert.labels
    for inside in TEMPLATE.findall(alert.summary + alert.description):
        assert TOLD.fullmatch(inside), inside
        if inside.startswith("$labels."):
            assert inside.removeprefix("$labels.") in alert.labels


@by_alert
def test_alerts_say_what_how_bad_and_for_how_long(alert):
    assert re.fullmatch(r"(LLM|Burstwatch)[A-Z]\w+", alert.alert)
    assert alert.severity in {"critical", "warning", "info"}
    assert seconds(alert.wait) >= 0
    assert seconds(alert.keep) >= 60, "an alert that comes and goes is told again each time"
    assert alert.description.endswith(".")
    assert not alert.summary.endswith(".")
    assert f"burstwatch-{alert.board}" in {board["uid"] for board in BOARDS.values()}


def test_what_has_a_value_says_it():
    """The others are yes or no: nobody there, not reached, or nothing read."""
    silent = {alert.alert for alert in ALERTS if "$value" not in alert.summary}
    assert silent == {"BurstwatchWorkerAbsent", "BurstwatchTargetDown", "BurstwatchWorkerStale"}


def test_alerts_do_not_move_along_when_a_service_moves_to_another_worker():
    for alert in ALERTS:
        if {"service", "agent", "topic", "node"} & set(alert.labels):
            assert not SCRAPED & set(alert.labels), alert.alert


@pytest.mark.parametrize("record", RECORDED)
def test_recordings_are_named_for_the_labels_they_have(record):
    level, metric, operation = record.split(":")
    assert set(promql.labels(RECORDED[record], labels_of)) == LEVELS[level]
    assert metric.startswith("burstwatch_")
    assert re.fullmatch(r"[a-z]+(\d+[smhd])?", operation)


# Here since the first version: somebody's own boards and autoscalers may ask for them.
KEPT = {"service:burstwatch_arrivals:rate1m", "service:burstwatch_kv_cache_usage_ratio:max"}


def test_no_recording_is_recorded_for_nothing():
    asked = str(list(BOARDS.values()))
    asked += "".join(alert.expr for alert in ALERTS) + "".join(RECORDED.values())
    assert {record for record in RECORDED if record not in asked} <= KEPT


def test_every_number_compared_with_is_a_threshold_and_every_threshold_has_a_reason():
    values = {name: value for name, value in vars(thresholds).items() if name.isupper()}
    compared = {float(number) for alert in ALERTS for number in COMPARED.findall(alert.expr)}
    assert compared - {0, 1} <= set(values.values())
    text = " ".join(alert.expr for alert in ALERTS)
    unused = {name for name, value in values.items() if not re.search(rf"(?<![\d.]){value:g}\b|\b{value}\b", text)}
    assert not unused
    lines = Path(thresholds.__file__).read_text().splitlines()
    for name in values:
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{name} = "))
        assert lines[at - 1].startswith("# "), f"{name} has no reason"
        assert not lines[at - 1].startswith("# ---"), f"{name} has no reason"


def test_no_number_hides_in_the_rules_themselves():
    for file in (ROOT / "dashboards/rules").glob("*.py"):
        if file.name in {"thresholds.py", "groups.py", "grafana.py"}:  # the last two: how often, Grafana's own numbers
            continue
        tokens = tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
        numbers = [token.string for token in tokens if token.type == tokenize.NUMBER]
        assert set(numbers) <= {"0", "1"}, file.name


def test_the_budget_alerts_are_the_window_pairs_of_the_sre_workbook():
    labels = {3600: "1h", 300: "5m", 6 * 3600: "6h", 1800: "30m", 3 * 86_400: "3d"}
    for rule in BURN_RULES:
        alert = BY_NAME["LLMFailureBudgetBurnsFast" if rule.page else "LLMFailureBudgetBurns"]
        assert alert.severity == ("critical" if rule.page else "warning")
        long, short = labels[rule.long_s], labels[rule.short_s]
        burns = [f"service:burstwatch_failure_burn:rate{window} > {rule.factor:g}" for window in (long, short)]
        enough = f"service:burstwatch_failures:increase{long} >= {thresholds.BURN_FAILURES_MIN}"
        assert " and on (service) ".join([*burns, enough]) in alert.expr
    compared = " ".join(BY_NAME[name].expr for name in BY_NAME if "BudgetBurns" in name)
    assert len(re.findall(r":burstwatch_failure_burn:rate\w+ > ", compared)) == 2 * len(BURN_RULES)


def test_an_incident_that_was_an_episode_is_not_paged_again_by_what_it_leaves_in_the_windows():
    """Each pair leaves services out for longer than its short window; promtool shows that it is quiet."""
    expr = BY_NAME["LLMFailureBudgetBurnsFast"].expr
    for rule in (rule for rule in BURN_RULES if rule.page):
        (pair,) = (pair for pair in expr.split(") or (") if f"rate{rule.short_s // 60}m > " in pair)
        (since,) = re.findall(r"unless on \(service\) max by .*\(burstwatch_failure_active\[(\w+)\]\)\) == 1", pair)
        assert seconds(since) >= rule.short_s + 300
    # On before the episode, it is kept for no longer than the episode's alert, which silences it.
    assert seconds(BY_NAME["LLMFailureBudgetBurnsFast"].keep) <= seconds(BY_NAME["LLMFailureEpisode"].keep)


@pytest.mark.parametrize("job", ["burstwatch", "burstwatch-worker", "llm/burstwatch-capture", "llm/burstwatch"])
def test_the_names_people_give_to_the_job_are_ours(job):
    assert re.fullmatch(re.fullmatch('job=~"(.*)"', JOBS)[1], job)


@pytest.mark.parametrize("job", ["prometheus", "burstwatcher", "my-burstwatch", "burstwatch/x"])
def test_jobs_of_others_are_not(job):
    assert not re.fullmatch(re.fullmatch('job=~"(.*)"', JOBS)[1], job)


def test_thresholds_agree_with_what_they_are_taken_from():
    assert thresholds.KV_USAGE_RATIO == FULL_RATIO
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (worker,) = (job for job in config["scrape_configs"] if job["job_name"] == "burstwatch-worker")
    assert thresholds.SCRAPE_SAMPLES == 0.8 * worker["sample_limit"]
    by_group = {alert.alert: group for group in GROUPS for alert in group.alerts}
    assert f"{by_group['LLMFailureEpisode'].interval_s}s" == config["global"]["scrape_interval"]


def test_the_rules_file_says_what_the_source_says():
    groups = yaml.safe_load(rules_yaml())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [(r["record"], r["expr"]) for r in rules if "record" in r] == list(RECORDED.items())
    told = [(r["alert"], r["expr"], r["for"], r["keep_firing_for"], r["labels"]) for r in rules if "alert" in r]
    assert told == [(a.alert, a.expr, a.wait, a.keep, {"severity": a.severity}) for a in ALERTS]
    assert [(g["name"], g["interval"]) for g in groups] == [(g.name, f"{g.interval_s}s") for g in GROUPS]
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert len(BY_NAME) == len(ALERTS)


def test_annotations_lead_to_the_runbook_and_to_the_board_at_the_service():
    for rule in (r for g in yaml.safe_load(rules_yaml(ELSEWHERE))["groups"] for r in g["rules"] if "alert" in r):
        alert, said = BY_NAME[rule["alert"]], rule["annotations"]
        assert list(said) == ["summary", "description", "runbook_url", "dashboard_url"]
        assert (said["summary"], said["description"]) == (alert.summary, alert.description)
        assert said["runbook_url"] == f"https://wiki.example/runbook#{rule['alert'].lower()}"
        chosen = "?var-service={{ $labels.service }}" if "service" in alert.labels else ""
        assert said["dashboard_url"] == f"https://grafana.example/sub/d/burstwatch-{alert.board}{chosen}"


def test_the_kubernetes_object_has_the_same_rules():
    manifest = yaml.safe_load(prometheus_rule_manifest(ELSEWHERE))
    assert (manifest["apiVersion"], manifest["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert manifest["spec"] == yaml.safe_load(rules_yaml(ELSEWHERE))


GRAFANA = yaml.safe_load(grafana_alerting_yaml())["groups"]
MANAGED = [(group, rule) for group in GRAFANA for rule in group["rules"]]


def test_grafana_is_given_every_alert_with_the_same_question():
    assert yaml.safe_load(grafana_alerting_yaml())["apiVersion"] == 1
    assert [rule["title"] for _, rule in MANAGED] == [alert.alert for alert in ALERTS]
    for _, rule in MANAGED:
        alert = BY_NAME[rule["title"]]
        query, number, threshold = rule["data"]
        assert (query["model"]["expr"], query["datasourceUid"]) == (alert.expr, "prometheus")
        assert query["model"]["instant"]
        assert {number["datasourceUid"], threshold["datasourceUid"]} == {"__expr__"}
        assert (number["model"]["type"], number["model"]["expression"]) == ("math", f"is_number(${query['refId']})")
        assert (threshold["model"]["type"], threshold["model"]["expression"]) == ("threshold", number["refId"])
        assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]
        assert rule["condition"] == threshold["refId"]
        assert (rule["for"], rule["keepFiringFor"], rule["labels"]) == (
            alert.wait,
            alert.keep,
            {"severity": alert.severity},
        )
        assert rule["noDataState"] == "OK"
        assert [part["model"]["refId"] for part in rule["data"]] == [part["refId"] for part in rule["data"]]


def test_grafana_would_take_the_file():
    """What its provisioning enforces, as far as it is documented; no real Grafana has read it here."""
    for group in GRAFANA:
        assert set(group) == {"orgId", "name", "folder", "interval", "rules"}
        assert seconds(group["interval"]) % 10 == 0
    for _, rule in MANAGED:
        assert set(rule) == {
            "uid", "title", "condition", "data", "noDataState", "execErrState", "for", "keepFiringFor", "annotations",
            "labels", "isPaused",
        }  # fmt: skip
        assert re.fullmatch(r"[a-z0-9-]{1,40}", rule["uid"])
        assert not re.search(r"(?<!\$)\$(?!\$)", rule["title"] + str(rule["labels"])), (
            "one $ is read as the environment's"
        )
        assert "${" not in str(rule["annotations"])
        assert not re.search(r"\$value\b", str(rule["annotations"]))
    assert len({rule["uid"] for _, rule in MANAGED}) == len(ALERTS)


def test_grafanas_texts_are_those_of_prometheus_but_for_the_name_of_the_value():
    for _, rule in MANAGED:
        summary = rule["annotations"]["summary"]
        assert summary.replace("$values.A.Value", "$value") == BY_NAME[rule["title"]].summary


def test_files_end_in_one_line_end_and_say_who_made_them():
    for text in (rules_yaml(), grafana_alerting_yaml(), prometheus_rule_manifest()):
        assert text.startswith("# Generated from dashboards/rules/")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
