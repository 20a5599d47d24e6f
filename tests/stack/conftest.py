"""One run of the stack for all tests of this folder, from its start to the end of the first burst's alert."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from kafka import KafkaProducer

from collector.schema.topics import REQUESTS
from tests.kafka.apache import Missing
from tests.stack.boards import Query, Variable, queries, rules, selector, variables
from tests.stack.expected import SOMETIMES, WITHOUT_DATA
from tests.stack.prometheus import Webhook, alerts_known
from tests.stack.stack import NOT_HERE, Stack, missing
from tests.stack.timeline import TOLD
from tests.stack.topology import Topology

# What an operator sets; 30 s instead of five minutes until a service may burst, as the demo is told to.
ENVIRONMENT = {"GRAFANA_ADMIN_PASSWORD": "not-used-here", "BURSTWATCH_BURST_WARMUP_S": "30"}
# Of load: two bursts of the built-in workload, about one a minute; longer if a query has not given data by then.
LOAD_S, LOAD_S_MAX = 110, 200
RESOLVED_WITHIN_S = 220  # quiet for 30 s, then the alert's two minutes


@dataclass
class Run:
    """What was seen: ``points`` of each query so far, and what was running meanwhile."""

    stack: Stack
    load_from: float = 0.0
    points: dict[str, int] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    alerts: list[dict[str, str]] = field(default_factory=list)
    exit_codes: dict[str, int] = field(default_factory=dict)

    def look(self, asked: list[Query], filled: list[Variable], *, again: bool = False) -> None:
        """Ask what has not answered yet: an instant query is right when there was something at one moment.

        ``again`` asks all, for the number of points of the whole run.
        """
        prometheus = self.stack.prometheus
        for query in asked:
            if again or not self.points.get(query.name):
                points = prometheus.points(query.expr, self.load_from, instant=query.instant)
                self.points[query.name] = max(points, self.points.get(query.name, 0))
        for variable in filled:
            if not self.points.get(variable.name):
                series, label = selector(variable)
                match = {"match[]": series} if series else {}
                self.points[variable.name] = len(prometheus.ask(f"label/{label}/values", **match))
        for rule in rules():
            if "record" in rule and rule["record"] not in self.recorded and prometheus.instant(rule["record"]):
                self.recorded.add(rule["record"])
        self.alerts.append(alerts_known(self.stack.alertmanager))

    @property
    def waiting(self) -> set[str]:
        """Queries and recorded series that have given nothing yet though they should."""
        empty = {name for name, points in self.points.items() if not points}
        recorded = {rule["record"] for rule in rules() if "record" in rule}
        return (empty | (recorded - self.recorded)) - WITHOUT_DATA.keys() - SOMETIMES.keys()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    if lacking := missing():
        pytest.skip(f"not installed here: {lacking}")
    with Webhook() as webhook:
        stack = Stack(Topology(tmp_path_factory.mktemp("stack"), ENVIRONMENT), webhook)
        try:
            stack.up(set(stack.topology.services) - NOT_HERE - {"replay"})
        except Missing as error:
            stack.down()
            pytest.skip(str(error))
        except BaseException:
            stack.down()
            raise
        try:
            yield _watched(Run(stack))
        finally:
            stack.down()


def _watched(run: Run) -> Run:
    """Load, look at every query meanwhile, stop the load, wait until the burst's alert has gone."""
    stack = run.stack
    run.load_from = time.time()
    stack.up({"replay"})
    _send_garbage(stack.kafka)
    asked, filled = queries(), variables()
    told, over = (lambda: stack.webhook.first(TOLD, "firing")), (lambda: stack.webhook.first(TOLD, "resolved"))
    while (loaded := time.time() - run.load_from) < LOAD_S or (loaded < LOAD_S_MAX and (run.waiting or not told())):
        time.sleep(5)
        run.look(asked, filled)
    run.look(asked, filled, again=True)
    run.exit_codes["replay-0"] = stack.stop("replay-0")
    assert told(), f"no burst was told within {loaded:.0f} s\n{stack.logs()}"
    stack.wait_until(lambda: over() is not None, RESOLVED_WITHIN_S, "the word that it is over")
    return run


def _send_garbage(kafka: str) -> None:
    """One message nobody can read, as a foreign producer would send it: the boards must show that it was refused."""
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(REQUESTS, key=b"chat", value=b"not ours").get(20)
    producer.close()
