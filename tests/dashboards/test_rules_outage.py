"""Kafka goes away for six minutes: what explains the silence is told first, and in place of each agent."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.rules import rules_yaml

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

PAGE, BLAME = (
    f'ALERTS{{alertname="{name}",alertstate="firing"}}' for name in ("BurstwatchWorkerStale", "BurstwatchAgentSilent")
)
UNEXPLAINED = f"count(count_over_time(({BLAME} unless on () {PAGE})[1h:5s]))"
BLAMED = f"count(count_over_time({BLAME}[1h:5s]))"
AWAY_S, BACK_S, END_S = 600, 960, 1800
NEVER_S = END_S + 1
WORKER = 'job="burstwatch-worker",instance="w1:9464"'


def outage(backs_s: list[int], scrape_s: int) -> list[dict]:
    """What a worker shows whose agents, one message a second each, find Kafka again at these times."""
    times = range(0, END_S, scrape_s)
    series = {
        f"burstwatch_partitions_owned{{{WORKER}}}": [8 for _ in times],
        f"burstwatch_messages_total{{{WORKER}}}": [
            sum(min(at, AWAY_S) + max(0, at - back) for back in backs_s) for at in times
        ],
    }
    for number, back in enumerate(backs_s):
        name = f'burstwatch_agent_last_message_timestamp_seconds{{{WORKER},agent="a{number}"}}'
        series[name] = [at if at >= back else min(at, AWAY_S) for at in times]
    return [{"series": name, "values": " ".join(map(str, values))} for name, values in series.items()]


def complaints(where: Path, scrape_s: int, backs_s: list[int], questions: list[tuple[int, str, int]]) -> str:
    """Ask for one number (0: no result) at each time; evaluation every 15 s, as in the rules."""
    asked = [
        {"eval_time": f"{at}s", "expr": expr, "exp_samples": [{"labels": "{}", "value": value}] if value else []}
        for at, expr, value in questions
    ]
    test = {"interval": f"{scrape_s}s", "input_series": outage(backs_s, scrape_s), "promql_expr_test": asked}
    text = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (where / "rules.yml").write_text(rules_yaml())
    (where / "test.yml").write_text(yaml.safe_dump(text, width=10**9))
    command = ["promtool", "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("scrape_s", [5, 15])
def test_it_is_paged_within_two_and_a_half_minutes_and_no_agent_is_blamed(tmp_path: Path, scrape_s):
    """One agent finds Kafka two minutes later than the other. Both were silent for long enough to be blamed."""
    questions = [
        (AWAY_S + 90, f"count({PAGE})", 0),
        (AWAY_S + 150, f"count({PAGE})", 1),
        (END_S - 15, BLAMED, 2),
        (END_S - 15, UNEXPLAINED, 0),
        (END_S - 15, f"count({PAGE} or {BLAME})", 0),
    ]
    assert complaints(tmp_path, scrape_s, [BACK_S, BACK_S + 120], questions) == ""


def test_an_agent_that_does_not_come_back_with_kafka_is_told_after_it(tmp_path: Path):
    questions = [(BACK_S, UNEXPLAINED, 0), (END_S - 15, UNEXPLAINED, 1), (END_S - 15, f"count({PAGE})", 0)]
    assert complaints(tmp_path, 5, [BACK_S, NEVER_S], questions) == ""
