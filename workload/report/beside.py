"""A second process for the part of an analysis that is plain Python: the others have the first to themselves.

Spawned, not forked: polars' threads are about. It is started before the trace is read, so that it has loaded by then.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path

_WORTH_BYTES = 40_000_000  # a process takes a quarter of a second to start


@contextmanager
def beside(path: Path) -> Iterator[Executor | None]:
    """Give a process to work beside ours while a trace is read and analysed; None where it is not worth it.

    Ctrl-C ends it at once.
    """
    if not path.is_file() or path.stat().st_size < _WORTH_BYTES:
        yield None
        return
    pool = ProcessPoolExecutor(1, get_context("spawn"), _ready)
    pool.submit(abs, 0)  # starts it
    try:
        yield pool
    except BaseException:
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown()


def _ready() -> None:
    """Load in the new process what it will need; Ctrl-C is for its parent to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import workload.analyse.burst_scan  # noqa: F401, PLC0415 - while the parent reads
