"""The rules of the house that lint cannot say: one door per library, purity, size, names."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("burstwatch", "collector", "streams", "workload", "dashboards")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Each outside library comes in through these files or folders and nowhere else.
DOORS = {
    "faust": ("streams/worker/",),
    "mode": ("streams/worker/",),
    "aiokafka": ("streams/worker/", "burstwatch/broker/batches.py"),
    "kafka": (
        "collector/kafka_sink.py",
        "streams/capture/consumer.py",
        "streams/capture/tap.py",
        "burstwatch/broker/",
        "burstwatch/tail.py",
        "workload/replay/kafka_events.py",
    ),
    "prometheus_client": (
        "streams/export/prometheus.py",
        "collector/sources/vllm.py",
        "workload/engine/metrics.py",
        "burstwatch/up/numbers.py",
    ),
    "polars": ("workload/trace/", "workload/formats/parquet.py", "streams/capture/parquet.py"),
    "matplotlib": ("workload/report/plots.py",),
    "grafana_client": ("dashboards/grafana/client.py",),
    "markdown_it": ("burstwatch/page/runbook.py",),
    "niquests": ("dashboards/grafana/client.py",),  # the HTTP library under grafana_client, which lets its errors out
}

# The functional core: time, randomness and I/O come in as arguments.
PURE = (
    *("streams/stats/", "streams/processors/", "streams/snapshot.py"),
    *("workload/engine/scheduler.py", "workload/engine/virtual.py", "workload/trace/columns.py"),
    *("workload/analyse/", "workload/model/", "workload/scale/", "workload/report/section_"),
    *(f"workload/bench/{name}.py" for name in ("figures", "kv_demand", "verdict", "sentences", "engine_metrics")),
)
IMPURE_MODULES = {
    "faust", "kafka", "aiokafka", "prometheus_client", "asyncio", "time", "random", "os", "logging", "socket",
    "threading", "subprocess", "pathlib", "aiohttp",
}  # fmt: skip


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("library", DOORS)
def test_each_library_comes_in_by_its_own_door(library):
    users = {_name(p) for p in FILES if any(i.split(".")[0] == library for i in _imports(p))}
    strangers = {user for user in users if not user.startswith(DOORS[library])}
    assert not strangers
    assert users or library in {"mode", "aiokafka"}, f"{library} is not used at all"


def test_the_core_knows_no_clock_no_chance_and_no_outside():
    core = [p for p in FILES if _name(p).startswith(PURE)]
    assert len(core) > 5
    found = {_name(p): impure for p in core if (impure := {i.split(".")[0] for i in _imports(p)} & IMPURE_MODULES)}
    assert not found


def test_streams_and_workload_take_only_the_schema_from_the_collector():
    found = {
        _name(p): bad
        for p in FILES
        if _name(p).startswith(("streams/", "workload/", "dashboards/"))
        and (bad := {i for i in _imports(p) if i.split(".")[0] == "collector" and not i.startswith("collector.schema")})
    }
    assert not found


def test_files_stay_small():
    found = {_name(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 320}
    assert not found


def test_no_file_is_named_for_nothing():
    vague = {"utils", "util", "common", "helpers", "manager", "misc", "base_utils"}
    assert not [p for p in FILES if p.stem in vague]


def test_every_module_named_in_the_architecture_exists():
    import re

    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:burstwatch|collector|streams|workload|dashboards|tests)/[\w/.]*)`", text)
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]
