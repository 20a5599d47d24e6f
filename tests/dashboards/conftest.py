"""A stand-in for Grafana and a token it accepts, for the tests of push and annotate."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burstwatch.cli import main
from tests.support.fake_grafana import FakeGrafana, fake_grafana


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    pytest.importorskip("grafana_client", reason="the extra [grafana] is not installed")
    with fake_grafana() as server:
        yield server


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


@pytest.fixture
def push(grafana: FakeGrafana, token: Path, monkeypatch) -> Callable[..., int]:
    """Run `burstwatch dashboards push` at the stand-in; retries do not wait."""
    monkeypatch.setattr("dashboards.grafana.client.PAUSES_S", (0.0, 0.0))

    def run(*options: str, url: str = "") -> int:
        return main(["dashboards", "push", "--url", url or grafana.url, "--token-file", str(token), *options])

    return run
