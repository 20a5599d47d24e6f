"""How docker-compose.yml becomes processes, without starting any: nothing of a container's world is left over."""

import re

import pytest
import yaml

from tests.e2e.test_compose import PARSE
from tests.stack.boards import defaults, filled, queries, variables
from tests.stack.configs import written
from tests.stack.stack import NOT_HERE, property_name
from tests.stack.topology import Topology, interpolated

ENVIRONMENT = {"GRAFANA_ADMIN_PASSWORD": "not-used"}


@pytest.fixture
def topology(tmp_path) -> Topology:
    return Topology(tmp_path, ENVIRONMENT)


def test_variables_are_put_in_as_compose_does_it():
    assert interpolated("${A:-30} ${B:?say B}", {"B": "b"}) == "30 b"
    assert interpolated("${A:-30}", {"A": "5"}) == "5"
    with pytest.raises(KeyError, match="B"):
        interpolated("${B:?say B}", {})


def test_every_command_of_ours_parses_here_and_names_no_container(topology):
    for name in topology.ours():
        for replica in range(topology.replicas(name)):
            verb, *words = topology.command(name, replica)
            assert PARSE[verb](words)
            assert not re.search(
                rf"\b({'|'.join(topology.services)}):\d|/var/lib/burstwatch(?!/)|0\.0\.0\.0", str(words)
            )
            for path in re.findall(r"/\S+", " ".join(words)):
                assert path.startswith((str(topology.folder), "//127.0.0.1:")), path


def test_two_workers_have_two_ports_and_prometheus_is_told_both(topology):
    ports = {topology.port("worker", 9464, replica) for replica in range(2)}
    assert len(ports) == 2
    for replica in range(2):
        assert f"--metrics-port={topology.port('worker', 9464, replica)}" in topology.command("worker", replica)
        assert f":{topology.port('worker', 9464, replica)}/healthz" in topology.health_check("worker", replica)[-1]
    written(topology, "prometheus", "http://127.0.0.1:1")
    config = yaml.safe_load(topology.places("prometheus")["/etc/prometheus/prometheus.yml"].read_text())
    job = next(one for one in config["scrape_configs"] if one["job_name"] == "burstwatch-worker")
    targets = [target for one in job["static_configs"] for target in one["targets"]]
    assert sorted(targets) == sorted(f"127.0.0.1:{port}" for port in ports)


def test_services_start_after_those_they_wait_for(topology):
    order = topology.in_order(set(topology.services) - NOT_HERE)
    assert order.index("kafka") < order.index("worker")
    assert max(order.index(name) for name in ("agent", "engine", "workload")) < order.index("replay")


def test_whoever_shares_a_volume_shares_a_folder(topology):
    written_by, read_by = topology.command("workload"), topology.command("replay")
    assert written_by[-1] == f"--out={read_by[1]}"


def test_kafkas_variables_become_properties():
    assert property_name("KAFKA_CONTROLLER_QUORUM_VOTERS") == "controller.quorum.voters"


def test_variables_of_a_board_are_as_one_who_just_opened_it_has_them():
    board = {
        "templating": {
            "list": [
                {"type": "query", "name": "service", "current": {"value": ["$__all"]}, "allValue": ".*"},
                {"type": "custom", "name": "window", "current": {"value": "5m"}},
            ]
        }
    }
    values = defaults(board)
    assert (
        filled('rate(a{s=~"${service:regex}", w="$window"}[$__rate_interval])', values)
        == 'rate(a{s=~".*", w="5m"}[20s])'
    )
    with pytest.raises(KeyError):
        filled("$unknown", values)


def test_nothing_is_asked_twice_under_one_name_and_no_variable_is_left():
    asked = queries()
    assert len({query.name for query in asked}) == len(asked) > 100
    assert not [query.name for query in asked if "$" in query.expr]
    assert not [variable.name for variable in variables() if "$" in variable.query]
