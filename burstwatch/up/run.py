"""Runs the parts: start in order, watch, restart what dies, drain in order, export. The shell of `up`."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from rich.console import Console

from burstwatch.tail import TopicTail, end_offsets
from burstwatch.up import plan
from burstwatch.up.numbers import Numbers, read_numbers
from burstwatch.up.plan import Places, UpOptions
from burstwatch.up.processes import Child, Part, restart, start, stop, wait_ready
from burstwatch.up.screen import Screen
from burstwatch.wording import episode_line
from collector.schema.errors import OperatorError
from collector.schema.topics import EPISODES, REQUESTS

RESTARTS_MAX = 5
TICK_S = 1.0


class Run:
    """One `burstwatch up`. ``stop_asked`` may be set from a signal handler."""

    def __init__(self, options: UpOptions, places: Places, console: Console) -> None:
        self._options = options
        self._places = places
        self._console = console
        self._children: dict[str, Child] = {}
        self._logs = places.state / "logs"
        self.stop_asked = threading.Event()
        self.numbers = Numbers()
        self.failure: str | None = None  # why the work did not come to its end

    @property
    def metrics_url(self) -> str:
        """The worker's exposition."""
        return f"http://127.0.0.1:{self._places.metrics_port}/metrics"

    def start_parts(self) -> None:
        """Start everything but the load; return when all are ready. Raises ``OperatorError``."""
        options, places = self._options, self._places
        self._logs.mkdir(parents=True, exist_ok=True)
        self._start_all([plan.broker(options, places)])
        places.agent_config.write_text(plan.agent_config(options, places))
        consumers = [plan.worker(options, places), plan.capture(options, places), plan.page(options, places)]
        self._start_all([*consumers, plan.engine(options, places)])
        self._start_all([plan.agent(places)])

    def _start_all(self, parts: list[Part | None]) -> None:
        wanted = [part for part in parts if part is not None]
        for part in wanted:
            self._children[part.name] = start(part, self._logs)
        for part in wanted:
            wait_ready(self._children[part.name])

    def start_load(self) -> None:
        """Start the replay, where it is for us to send; it announces nothing, it just sends."""
        if self._options.sends_load:
            part = plan.replay(self._options, self._places)
            self._children["replay"] = start(part, self._logs)

    def watch(self, screen: Screen, began_s: float) -> None:
        """Show numbers until the work ends, the duration is over, or a stop is asked for."""
        while not self.stop_asked.is_set():
            elapsed_s = time.monotonic() - began_s
            self._revive(screen)
            self.numbers = self._fetch() or self.numbers
            screen.show(elapsed_s, self.numbers)
            if self._options.duration_s is not None and elapsed_s >= self._options.duration_s:
                return
            if self._work_ended():
                return
            self.stop_asked.wait(TICK_S)

    def _work_ended(self) -> bool:
        load = self._children.get("replay" if self._options.live else "agent")
        if load is None or load.running:
            return False
        code = load.process.returncode
        if code and load.part.name == "replay":
            self.failure = f"the load broke off: replay ended with code {code}: {load.last_words()} (log: {load.log})"
        return not code or load.part.name == "replay"  # an agent that died is started again and goes on

    def _revive(self, screen: Screen) -> None:
        """Start again whatever died; its state on disk makes that safe."""
        for name, child in list(self._children.items()):
            if child.running or name == "replay":
                continue
            if name == "agent" and child.process.returncode == 0:  # a recording that is delivered
                continue
            if child.restarts >= RESTARTS_MAX:
                raise OperatorError(f"{name} keeps dying: {child.last_words()} (log: {child.log})")
            screen.note(f"{name} ended with code {child.process.returncode}; starting it again")
            self._children[name] = restart(child, self._logs)

    def _fetch(self) -> Numbers | None:
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=2) as page:  # noqa: S310 - our own http URL
                return read_numbers(page.read().decode())
        except (OSError, ValueError, urllib.error.URLError):
            return None  # the worker is restarting; the last numbers stay on the screen

    def drain(self, say: Callable[[str], None]) -> None:
        """Stop the load, deliver what was seen, let worker and capture catch up. Keeps the broker running."""
        say("draining …")
        for name in ("replay", "agent"):
            if child := self._children.get(name):
                stop(child)
        self._account()
        self._catch_up()
        for name in ("capture", "worker"):
            if child := self._children.get(name):
                stop(child)

    def _account(self) -> None:
        """Note as a failure what the agent could not deliver; it stays in the spool."""
        spool = self._places.state / "spool"
        try:
            status = json.loads((spool / "status.json").read_text())
        except (OSError, ValueError):
            return
        waiting = status.get("spooled", 0) + status.get("queued", 0)
        if waiting:
            self.failure = f"{waiting} events did not reach Kafka; they wait in {spool}"

    def _catch_up(self, patience_s: float = 60.0) -> None:
        try:
            ends = end_offsets(plan.bootstrap_of(self._options, self._places), REQUESTS)
        except Exception as error:  # noqa: BLE001 - the broker died for good; export what there is
            self._console.print(f"could not ask the broker for its end: {error}")
            return
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            self.numbers = self._fetch() or self.numbers
            done = self.numbers.offsets
            if all(done.get((REQUESTS, p), 0) >= end for p, end in ends.items()):
                return
            time.sleep(0.1)
        self._console.print("the worker did not catch up in time; its last numbers may be incomplete")

    def stop_all(self) -> None:
        """Stop every part that still runs, the broker last. Safe to call twice."""
        for name in ("replay", "agent", "capture", "worker", "page", "engine", "broker"):
            if child := self._children.get(name):
                stop(child, drain_s=10.0)

    def kill_all(self) -> None:
        """End every part at once; what they have on disk survives it. For use in a signal handler: never waits."""
        for child in self._children.values():
            child.process.kill()

    def episodes(self, screen: Screen) -> TopicTail:
        """Return a started tail that notes bursts, failures and memory pressure on ``screen``."""
        bootstrap = plan.bootstrap_of(self._options, self._places)
        tail = TopicTail(bootstrap, [EPISODES], lambda episode: screen.note(episode_line(episode)))
        tail.start()
        return tail


def facts(options: UpOptions, places: Places) -> list[str]:
    """Return the lines that tell a person what to open."""
    lines = [
        f"page      http://127.0.0.1:{places.page_port}  (live: open it in a browser)",
        f"metrics   http://127.0.0.1:{places.metrics_port}/metrics",
    ]
    if options.live:
        yours = (
            "send your own requests here too" if options.sends_load else "send your requests here: this run sends none"
        )
        lines.append(f"proxy     http://127.0.0.1:{places.proxy_port}/v1  ({yours})")
        lines.append(f"engine    {plan.upstream_of(options, places)}")
    lines.append(f"kafka     {plan.bootstrap_of(options, places)}")
    lines.append(f"trace     {options.out / 'trace.csv'} (written at the end; logs in {places.state / 'logs'})")
    return lines
