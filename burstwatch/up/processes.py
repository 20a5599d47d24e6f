"""Child processes: start and wait for the readiness line, notice deaths, stop by draining.

Every part of Burstwatch prints one JSON line when it is ready and drains on SIGTERM; this file relies on both.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.schema.errors import OperatorError

_PR_SET_PDEATHSIG = 1
_HELD: list[int] = []  # locked for as long as this process or a part of it lives


@dataclass(slots=True)
class Part:
    """What to run: a name for people, the `burstwatch` arguments, how long its start may take."""

    name: str
    args: Sequence[str]
    ready_s: float = 30.0


@dataclass(slots=True)
class Child:
    """One running part. ``facts`` is its readiness line."""

    part: Part
    process: subprocess.Popen[bytes]
    log: Path
    facts: dict[str, Any] = field(default_factory=dict)
    ready: threading.Event = field(default_factory=threading.Event)
    restarts: int = 0

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """Return the last non-empty line of its log, for an error message."""
        with self.log.open(errors="replace") as lines:
            tail = deque((line.strip() for line in lines if line.strip()), maxlen=1)
        return tail[0][:300] if tail else "it said nothing"


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str, host: str = "127.0.0.1") -> int:
    """Return ``port``, or a free one for 0. Raises ``OperatorError`` naming ``option`` if it is taken."""
    if port == 0:
        return free_port(host)
    if not 0 < port < 65536:
        raise OperatorError(f"{option} must be a port from 1 to 65535, or 0 for a free one; not {port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OperatorError(f"port {port} is taken ({error.strerror}); choose another with {option}") from None
    return port


def hold(folder: Path) -> None:
    """Keep ``folder`` for this process and its parts, until the last of them has ended, however they end.

    Raises ``OperatorError`` if another run has it: moving its files aside would pull them from under it.
    """
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OperatorError(
            f"another `burstwatch up` is using {folder}, or its parts are still ending; "
            "wait for it, or choose another folder with --out"
        ) from None
    _HELD.append(descriptor)


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask_kernel() -> None:  # runs in the child between fork and exec: one system call, nothing else
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_kernel


def start(part: Part, logs: Path) -> Child:
    """Start ``part``; its output goes to ``logs/NAME.log``. Call ``wait_ready`` before relying on it."""
    log = logs / f"{part.name}.log"
    with log.open("ab") as sink:
        # A session of its own: Ctrl-C reaches only us, and we drain the parts in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "burstwatch", *part.args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
            pass_fds=_HELD,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call; we start children from the main thread
        )
    child = Child(part, process, log)
    threading.Thread(target=_listen, args=(child,), daemon=True).start()
    return child


def _listen(child: Child) -> None:
    stdout = child.process.stdout
    if stdout is None:
        return
    with child.log.open("ab") as sink:
        for line in stdout:
            try:
                said = json.loads(line)
            except ValueError:
                said = None
            if isinstance(said, dict) and said.get("event") == "ready":
                child.facts = said
                child.ready.set()
            else:
                sink.write(line)
                sink.flush()


def wait_ready(child: Child) -> None:
    """Return when ``child`` is ready. Raises ``OperatorError`` if it ends or takes longer than its time."""
    waited_s = 0.0
    while not child.ready.wait(0.1):
        waited_s += 0.1
        if not child.running and not child.ready.is_set():
            raise OperatorError(f"{child.part.name} did not start: {child.last_words()} (log: {child.log})")
        if waited_s > child.part.ready_s:
            raise OperatorError(
                f"{child.part.name} was not ready after {child.part.ready_s:.0f} s: "
                f"{child.last_words()} (log: {child.log})"
            )


def restart(child: Child, logs: Path) -> Child:
    """Start a part again that died; its state on disk lets it go on where it was."""
    again = start(child.part, logs)
    again.restarts = child.restarts + 1
    return again


def stop(child: Child, drain_s: float = 30.0) -> int:
    """Ask ``child`` to drain and wait; kill it after ``drain_s``. Returns its exit code. Safe to call twice."""
    if child.running:
        child.process.send_signal(signal.SIGTERM)
        try:
            child.process.wait(drain_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
    return child.process.wait()
