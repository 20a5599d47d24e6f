"""What docker-compose.yml describes, running: every target up, every panel with data, an alert from burst to webhook.

Real Apache Kafka, Prometheus and Alertmanager with the committed files; Docker and Grafana are not here. The tests
look at one run (conftest.py) and are in its order.
"""

import json
import re
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest

from tests.kafka.apache import class_path
from tests.stack.boards import queries, rules, variables
from tests.stack.expected import ALERTS, ALERTS_TOO, SOMETIMES, WITHOUT_DATA
from tests.stack.stack import NOT_HERE, property_name
from tests.stack.timeline import TOLD, timeline
from tests.stack.topology import ROOT
from tests.support.pipeline import run_cli

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]


def test_the_whole_compose_file_is_running(run):
    assert set(run.stack.started) == set(run.stack.topology.services) - NOT_HERE
    # In the order of depends_on, each after those it waits for.
    for name in run.stack.started:
        for other in run.stack.topology.services[name].get("depends_on", {}):
            assert run.stack.started.index(other) < run.stack.started.index(name)


def test_every_target_of_the_committed_configuration_is_up(run):
    targets = run.stack.prometheus.ask("targets")["activeTargets"]
    assert {(one["labels"]["job"], one["health"], one["lastError"]) for one in targets} == {
        (job, "up", "") for job in ("burstwatch-worker", "burstwatch-capture", "prometheus", "alertmanager")
    }
    workers = [one for one in targets if one["labels"]["job"] == "burstwatch-worker"]
    assert len(workers) == run.stack.topology.replicas("worker") == 2


def test_both_workers_have_work_and_share_the_partitions(run):
    owned = run.stack.prometheus.instant("burstwatch_partitions_owned")
    assert [float(one["value"][1]) for one in owned] == [2, 2]


def test_prometheus_evaluates_every_committed_rule_without_an_error(run):
    groups = run.stack.prometheus.ask("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} == {rule.get("record") or rule["alert"] for rule in rules()}
    assert [(rule["name"], rule["lastError"]) for rule in loaded if rule["health"] != "ok"] == []


def test_every_query_of_every_board_returns_data(run):
    names = [query.name for query in queries()] + [variable.name for variable in variables()]
    assert len(set(names)) == len(names)
    print(f"\n{len(names)} queries of panels and variables; points (series for variables) in this run:")
    for name in names:
        print(f"  {run.points[name]:>6}  {name}")
    _keep("stack-queries.json", run.points)
    assert set(names) >= set(SOMETIMES)
    empty = {name for name in names if not run.points[name]} - set(SOMETIMES)
    _is_exactly(empty, {name for name in WITHOUT_DATA if "/" in name})


def _is_exactly(empty: set[str], expected: set[str]) -> None:
    """Compare in two steps, each named in full: a comparison of long sets is cut off in pytest's words."""
    assert not empty - expected, "without data:\n" + "\n".join(sorted(empty - expected))
    assert not expected - empty, "listed as without data, and have some:\n" + "\n".join(sorted(expected - empty))


def _keep(name: str, figures: dict[str, float]) -> None:
    """Leave figures in build/ for whoever wants to see more than a dot."""
    out = ROOT / "build" / name
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


def test_every_recorded_series_has_data(run):
    empty = {rule["record"] for rule in rules() if "record" in rule} - run.recorded
    _is_exactly(empty, {name for name in WITHOUT_DATA if "/" not in name})


def test_a_burst_is_told_within_seconds_and_its_end_too(run):
    story = timeline(run.stack.kafka, run.stack.prometheus, run.stack.webhook)
    print(f"\nfrom a burst to the webhook ({TOLD}), seconds from its onset:\n{story.table()}")
    _keep("stack-timeline.json", story.seconds())
    times = list(story.seconds().items())
    told = [name for name, _ in times].index("told_to_webhook") + 1
    for steps in (times[:told], times[told:]):
        # Half a second for clocks: event time is the agent's, appending is Kafka's, evaluation is Prometheus'.
        assert all(earlier <= later + 0.5 for (_, earlier), (_, later) in zip(steps, steps[1:], strict=False)), times
    assert story.seconds()["told_to_webhook"] < 45


def test_the_notification_leads_to_the_runbook_on_the_page_and_to_a_board(run):
    _, alert = run.stack.webhook.first(TOLD, "firing")
    assert alert["labels"]["service"] == "chat"
    assert re.search(r"\d", alert["annotations"]["summary"]), "a summary has its value in it"
    address, heading = urldefrag(alert["annotations"]["runbook_url"])
    with urllib.request.urlopen(address, timeout=10) as page:
        assert f'id="{heading}"' in page.read().decode()
    uid = urlsplit(alert["annotations"]["dashboard_url"]).path.split("/")[2]
    boards = [json.loads(path.read_text())["uid"] for path in (ROOT / "dashboards/generated/boards").glob("*.json")]
    assert uid in boards


def test_who_is_told_what_is_what_the_routes_say(run):
    told = {(one.receiver, alert["labels"]["alertname"]) for one in run.stack.webhook.heard for alert in one.alerts}
    print(f"\ntold: {sorted(told)}")
    assert ("chat", TOLD) in told
    assert ("page", "LLMFailureEpisode") in told
    assert ("chat", "BurstwatchDeadLetters") in told
    # A burst alone is told to nobody, and while it fills the cache it is a chapter of that story.
    assert "LLMBurstActive" not in {name for _, name in told}
    both = [known for known in run.alerts if {TOLD, "LLMBurstActive"} <= set(known)]
    assert both
    assert {known["LLMBurstActive"] for known in both[1:]} == {"suppressed"}


def test_nothing_cried_wolf(run):
    fired = run.stack.prometheus.ask("label/alertname/values", **{"match[]": 'ALERTS{alertstate="firing"}'})
    assert set(fired) >= ALERTS
    assert set(fired) <= ALERTS | ALERTS_TOO, "a healthy stack has no alert but for the message nobody could read"


def test_the_page_shows_what_the_workers_say(run):
    port = run.stack.topology.port("page", 8321)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/state.json", timeout=10) as answer:
        assert b'"chat"' in answer.read()
    foreign = urllib.request.Request(f"http://127.0.0.1:{port}/state.json", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(foreign, timeout=10)


def test_kafka_knows_every_property_its_image_makes_of_the_environment(run):
    """An unknown property is passed over without a word, so the names are looked up in Kafka's own classes."""
    known = _texts_of_kafkas_configuration()
    environment = set(run.stack.topology.services["kafka"]["environment"]) - {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
    assert {key for key in environment if property_name(key).encode() not in known} == set()
    assert property_name("KAFKA_LISTENERZ").encode() not in known


def _texts_of_kafkas_configuration() -> bytes:
    found = []
    for jar in Path(class_path().removesuffix("/*")).glob("kafka*.jar"):
        with zipfile.ZipFile(jar) as classes:
            found += [classes.read(name) for name in classes.namelist() if "Config" in name]
    return b"".join(found)


def test_the_trace_holds_what_the_workers_counted(run):
    """The export is the command in the head of docker-compose.yml; capture finishes its last segment when stopped."""
    counted = sum(float(one["value"][1]) for one in run.stack.prometheus.instant("burstwatch_completions_total"))
    assert run.stack.stop("capture-0") == 0
    text = (ROOT / "docker-compose.yml").read_text().replace("\\\n#", "")
    words = re.search(r"exec capture burstwatch (.+)", text)[1].split()
    done = run_cli(*(run.stack.topology.rewritten(word, "capture") for word in words))
    assert done.returncode == 0, done.stderr
    print(f"\n{done.stdout}")
    assert "known loss: 0 messages missing, 0 events dropped" in done.stdout + done.stderr
    rows = run.stack.topology.places("capture")["/var/lib/burstwatch/captured"] / "trace.csv"
    assert len(rows.read_text().splitlines()) - 1 == counted > 500


def test_stopping_everything_as_docker_does_ends_it_in_order(run):
    begun = time.monotonic()
    codes = run.exit_codes | run.stack.down()
    print(f"\nstopped in {time.monotonic() - begun:.1f} s: {codes}")
    assert {name: code for name, code in codes.items() if code} == {}
    assert set(codes) >= {f"{name}-0" for name in run.stack.topology.ours() - {"workload", "capture"}}
