"""How long-running commands of this package begin and end: one ready line, a clean stop, a quick second stop."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable

import orjson


def print_ready(component: str, **facts: object) -> None:
    """Write the one JSON line on stdout that says a command serves."""
    line = orjson.dumps({"event": "ready", "component": component, **facts})
    sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


def stop_on_signals(last: Callable[[], None] = lambda: None) -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; the second signal calls ``last`` and ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            with contextlib.suppress(Exception):  # nothing may keep it from ending
                last()
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def raise_open_files() -> None:
    """Lift the soft limit of open files to the hard one: every open request is a socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def quiet_gc() -> None:
    """Make garbage collections rare and short: a full one over everything imported pauses for 20-40 ms.

    Objects alive now (modules, classes) are set aside for good; requests leave few cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def raise_priority() -> str:
    """Ask to be run at once when there is something to do; return what was granted: real-time, raised or normal.

    A load generator sleeps most of the time, but when a request is due it must not queue for a core behind the very
    server it measures. Linux grants this to root and to CAP_SYS_NICE. Its children do not inherit it.
    """
    try:
        reset = getattr(os, "SCHED_RESET_ON_FORK", 0)
        os.sched_setscheduler(0, os.SCHED_FIFO | reset, os.sched_param(1))
    except (OSError, AttributeError):
        pass
    else:
        return "real-time"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except OSError:
        return "normal"
    return "raised"
