"""Agent, worker, Kafka and annotate together: what the workers tell is what Grafana has, every episode once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broker import embedded_broker
from tests.support.fake_grafana import FakeGrafana
from tests.support.pipeline import Pipeline, generated_trace

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(300)]


def test_every_episode_of_a_real_run_is_a_region_with_its_times(grafana: FakeGrafana, token: Path, tmp_path: Path):
    with embedded_broker() as broker:
        pipeline = Pipeline(tmp_path / "run", broker.bootstrap_servers, generated_trace(tmp_path, 1800))
        options = ("--kafka", broker.bootstrap_servers, "--url", grafana.url, "--token-file", str(token))
        command = [sys.executable, "-m", "burstwatch", "dashboards", "annotate", *options]
        with (tmp_path / "annotate.log").open("wb") as log:
            following = subprocess.Popen([*command, "--follow"], stdout=log, stderr=log, env=dict(os.environ))
        try:
            pipeline.start()
            told = pipeline.finish().episodes
            ended = {key: episode for (key, state), episode in told.items() if state == "end"}
            ids = {key for key, _ in told}
            pipeline.wait_until(lambda: _whole(grafana) == (len(ids), len(ended)), 60, "annotating all of it")
            following.send_signal(signal.SIGTERM)
            assert following.wait(20) == 0, (tmp_path / "annotate.log").read_text()
        finally:
            following.kill()
            pipeline.stop()
        assert len(ids) > 3
        expected = sorted((e["onset"] // 1000, e["end"] // 1000, e["kind"]) for e in ended.values())
        kept = [a for a in grafana.annotations.values() if "ongoing" not in a["tags"]]
        assert sorted((a["time"], a["timeEnd"], a["tags"][1]) for a in kept) == expected
        assert all(a["tags"][2] == "service:svc" for a in kept)
        again = subprocess.run([*command, "--since", "all"], capture_output=True, text=True, check=False, timeout=60)
        assert again.stdout == f"{len(ids)} unchanged\n", again.stderr


def _whole(grafana: FakeGrafana) -> tuple[int, int]:
    """How many annotations there are, and how many of them have ended."""
    with grafana.lock:
        tags = [found["tags"] for found in grafana.annotations.values()]
    return len(tags), sum("ongoing" not in own for own in tags)
