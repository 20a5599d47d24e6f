"""A child process's end of the line to its supervisor.

Standard input brings one JSON line with the set-up, later perhaps the order ``drain``; its end means that the
supervisor is gone. Standard output takes reports, one JSON line each. Signals meant for the agent as a whole
are the supervisor's to handle, so children ignore them.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector.config import Config, parse_config

ORPHAN_GRACE_S = 2.0


class Supervisor:
    """The supervisor, as a child sees it."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Unbuffered: a daemon thread that holds a buffer's lock would crash the interpreter's shutdown.
        self._orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
        self.setup: dict[str, Any] = json.loads(self._orders.readline())
        self._guard = threading.Lock()

    def config(self) -> Config:
        """Return the configuration the supervisor has checked."""
        return parse_config(self.setup["config"], Path(self.setup["base"]))

    def watch(self, *, on_drain: Callable[[], None], on_gone: Callable[[], None]) -> None:
        """Call back, from a thread, when the order to drain comes, or when the supervisor has died."""

        def listen() -> None:
            for line in iter(self._orders.readline, b""):
                if line == b"drain\n":
                    on_drain()
            on_gone()
            # Whatever hangs now must not keep the spool from the next agent.
            timer = threading.Timer(ORPHAN_GRACE_S, os._exit, (1,))
            timer.daemon = True
            timer.start()

        threading.Thread(target=listen, name="supervisor", daemon=True).start()

    def report(self, event: str, **facts: object) -> None:
        """Send one report; one that nobody reads is lost."""
        line = json.dumps({"event": event, **facts}, separators=(",", ":")) + "\n"
        try:
            with self._guard:
                os.write(sys.stdout.fileno(), line.encode())
        except OSError:
            pass  # the supervisor is gone; ``watch`` notices
