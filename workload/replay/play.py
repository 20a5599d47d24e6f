"""The replay as a library: a trace in, what became of each request out."""

import asyncio

from workload.replay.options import ReplayOptions
from workload.replay.result import ReplayResult
from workload.trace.columns import Trace


async def replay(trace: Trace, options: ReplayOptions, stop: asyncio.Event | None = None) -> ReplayResult:
    """Send ``trace`` (in time order) and return what was measured; ``stop`` ends it early and keeps what there is.

    Raises ``OperatorError`` if a server is not there.
    """
    raise NotImplementedError  # the next commit
