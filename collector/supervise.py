"""The agent's supervisor: starts sidecar and shipper, restarts what dies, keeps the accounts, ends in order.

It holds what must outlive a child: the spool's lock (inherited, so that the last child's end frees it), the
listening sockets (connections wait in their queues while a sidecar restarts) and standard output.
"""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from collector.config import Config
from collector.spool.folder import replace

log = logging.getLogger(__name__)

STATUS_FILE = "status.json"
_STATUS_S = 1.0
_TICK_S = 0.2
# A child that ran this long is restarted at once, one that did not after a pause: back within 1 s and 3 s.
_STEADY_S = 5.0
_PAUSE_S = {"sidecar": 0.5, "shipper": 1.5}
_OPERATORS_FAULT = 2


@dataclass(slots=True, kw_only=True)
class _Child:
    """One child process and what it last reported."""

    name: str
    process: "subprocess.Popen[bytes] | None" = None
    started_s: float = 0.0
    restart_at_s: float = 0.0
    restarts: int = 0
    rest: bytes = b""
    status: dict[str, Any] = field(default_factory=dict)


class Agent:
    """A running agent. ``setup`` is what children get on their standard input."""

    def __init__(
        self,
        config: Config,
        setup: Mapping[str, Any],
        *,
        lock: int,
        listeners: Mapping[str, socket.socket],
        on_ready: Callable[[], None],
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._lock = lock
        fds = {name: sock.fileno() for name, sock in listeners.items()}
        self._setup = json.dumps({**setup, "listeners": fds}).encode() + b"\n"
        self._on_ready: Callable[[], None] | None = on_ready
        self._sidecar = _Child(name="sidecar")
        self._shipper = _Child(name="shipper")
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._deadline_s = float("inf")
        self._sidecar_over = False
        self._status_at_s = 0.0

    def run(self) -> int:
        """Run to the end: all finite sources delivered, or a signal. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ)
        code = None
        try:
            while code is None:
                code = self._step(time.monotonic())
                self._wait()
        finally:
            self._kill_children()
            self._write_status(final=True)
        return code

    def _step(self, now_s: float) -> int | None:
        """Do what is due. Returns the exit code at the end."""
        if self._signals > 1:
            log.warning("event=agent_stop reason=second_signal")
            return 1
        if self._signals and self._deadline_s == float("inf"):
            self._begin_drain(now_s)
        for child in (self._sidecar, self._shipper):
            code = self._tend(child, now_s)
            if code is not None:
                return code
        if now_s > self._deadline_s:
            if self._sidecar_over:
                log.warning("event=drain_timeout effect=the_rest_stays_spooled")
                return 0
            self._kill(self._sidecar)  # what it had spooled is safe, what it had not is told again or lost
            self._end_sidecar(now_s)
        if now_s >= self._status_at_s:
            self._status_at_s = now_s + _STATUS_S
            self._write_status(final=False)
        return None

    def _tend(self, child: _Child, now_s: float) -> int | None:
        """Start, restart or bury one child. Returns the agent's exit code if this ends it."""
        if child.process is None:
            over = child is self._sidecar and self._sidecar_over
            if not over and now_s >= child.restart_at_s:
                self._start(child, now_s)
            return None
        code = child.process.poll()
        if code is None:
            return None
        self._read_reports(child)
        self._forget(child)
        if code == _OPERATORS_FAULT:
            return _OPERATORS_FAULT
        if child is self._sidecar and (self._signals or (code == 0 and child.status.get("finished"))):
            self._end_sidecar(now_s)
            return None
        if child is self._shipper and code == 0 and child.status.get("delivered"):
            return 0
        child.restarts += 1
        steady = now_s - child.started_s > _STEADY_S
        child.restart_at_s = now_s + (0.0 if steady else _PAUSE_S[child.name])
        log.warning("event=child_died child=%s code=%d restarts=%d", child.name, code, child.restarts)
        return None

    def _start(self, child: _Child, now_s: float) -> None:
        child.process = subprocess.Popen(
            # -P: a folder called `collector` where the operator happens to stand must not be taken for ours.
            [sys.executable, "-P", "-m", f"collector.{child.name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=self._inherited(child),
        )
        child.started_s = now_s
        child.rest = b""
        self._order(child, self._setup)
        stdout = _pipe(child.process.stdout)
        os.set_blocking(stdout.fileno(), False)
        self._selector.register(stdout, selectors.EVENT_READ, child)
        if child is self._shipper and self._sidecar_over:
            self._order(child, b"drain\n")

    def _inherited(self, child: _Child) -> tuple[int, ...]:
        """Return the descriptors a child gets: only the sidecar serves, and not once draining has closed them."""
        serving = self._listeners.values() if child is self._sidecar and not self._signals else ()
        return (self._lock, *(listener.fileno() for listener in serving))

    def _order(self, child: _Child, line: bytes) -> None:
        if child.process is None:
            return
        try:
            pipe = _pipe(child.process.stdin)
            pipe.write(line)
            pipe.flush()
        except BrokenPipeError:
            pass  # it died; ``_tend`` sees that next

    def _begin_drain(self, now_s: float) -> None:
        log.info("event=agent_drain")
        for listener in self._listeners.values():
            listener.close()
        self._deadline_s = now_s + self._config.agent.drain_s + 5.0
        if self._sidecar_over:
            self._deadline_s = now_s + self._config.agent.drain_s
        elif self._sidecar.process is None:
            self._end_sidecar(now_s)
        else:
            self._order(self._sidecar, b"drain\n")

    def _end_sidecar(self, now_s: float) -> None:
        self._sidecar_over = True
        if self._signals:
            self._deadline_s = now_s + self._config.agent.drain_s
        self._order(self._shipper, b"drain\n")

    def _wait(self) -> None:
        for key, _ in self._selector.select(_TICK_S):
            if isinstance(key.data, _Child):
                self._read_reports(key.data)
            else:
                os.read(key.fd, 1024)

    def _read_reports(self, child: _Child) -> None:
        if child.process is None:
            return
        try:
            chunk = os.read(_pipe(child.process.stdout).fileno(), 1 << 16)
        except BlockingIOError:
            return
        if not chunk:
            self._unregister(child)
            return
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                log.warning("event=report_unreadable child=%s bytes=%d", child.name, len(line))
            else:
                self._on_report(child, report)

    def _on_report(self, child: _Child, report: dict[str, Any]) -> None:
        event = report.pop("event")
        if event == "status":
            child.status = report
        elif event == "ready" and self._on_ready is not None:
            self._on_ready()
            self._on_ready = None

    def _unregister(self, child: _Child) -> None:
        if child.process is not None and (stdout := _pipe(child.process.stdout)) in self._selector.get_map():
            self._selector.unregister(stdout)

    def _forget(self, child: _Child) -> None:
        self._unregister(child)
        if child.process is not None:
            for pipe in (child.process.stdin, child.process.stdout):
                with suppress(BrokenPipeError):
                    _pipe(pipe).close()
        child.process = None

    def _kill(self, child: _Child) -> None:
        if child.process is not None:
            child.process.kill()
            child.process.wait()
            self._read_reports(child)
            self._forget(child)

    def _kill_children(self) -> None:
        for child in (self._sidecar, self._shipper):
            self._kill(child)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1

    def _write_status(self, *, final: bool) -> None:
        status = self.status()
        if final:
            counts = " ".join(f"{name}={status[name]}" for name in ("accepted", "sent", "spooled", "queued", "dropped"))
            log.info("event=agent_end %s", counts)
        try:
            content = json.dumps(status, indent=1).encode()
            replace(self._config.agent.spool_dir / STATUS_FILE, content, durable=False)
        except OSError as error:
            log.warning("event=status_not_written error=%s", error.strerror)

    def status(self) -> dict[str, Any]:
        """Return the accounts since the spool was made: accepted = sent + spooled + queued + dropped, in events."""
        sidecar, shipper = self._sidecar.status, self._shipper.status
        spooled_total, dropped = sidecar.get("spooled_total", 0), sidecar.get("dropped", 0)
        sent, lost = shipper.get("sent", 0), shipper.get("set_aside", 0) + shipper.get("damaged", 0)
        # The two report at different moments: what was sent had been spooled before.
        spooled_total = max(spooled_total, sent + lost)
        queued = sidecar.get("queued", 0)
        return {
            "agent": self._config.agent.id,
            "accepted": spooled_total + queued + dropped,
            "sent": sent,
            "spooled": spooled_total - sent - lost,
            "queued": queued,
            "dropped": dropped + lost,
            "sidecar": {**sidecar, "restarts": self._sidecar.restarts},
            "shipper": {**shipper, "restarts": self._shipper.restarts},
        }


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - opened with PIPE
    return pipe
