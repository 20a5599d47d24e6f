"""What a benchmark shows while it runs: a line on stderr, on a terminal only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH_S = 0.25


class Screen:
    """A progress line; a context manager. Silent where ``shown`` is False or stderr is no terminal."""

    def __init__(self, *, shown: bool) -> None:
        console = Console(stderr=True)
        self._columns = (
            SpinnerColumn(),
            TextColumn("bench  {task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        # No thread draws by itself: it would disturb the send times of a replay.
        self._progress = Progress(
            *self._columns, console=console, auto_refresh=False, disable=not (shown and console.is_terminal)
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def tell(self, what: str) -> None:
        """Say what is being done."""
        self._progress.update(self._task, description=what)
        self._progress.refresh()

    def steps(self, total: int | None) -> Callable[[], None]:
        """Begin a stretch of ``total`` steps (None: nobody knows how many); call what is returned after each."""
        self._progress.reset(self._task, total=total)

        def step() -> None:
            self._progress.advance(self._task)
            self._progress.refresh()

        return step

    @asynccontextmanager
    async def clock(self, total_s: float) -> AsyncIterator[None]:
        """Let the bar follow the clock for about ``total_s`` seconds, until the body ends."""
        self._progress.reset(self._task, total=total_s)
        task = asyncio.create_task(self._tick(total_s))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tick(self, total_s: float) -> None:
        began_s = time.perf_counter()
        while True:
            self._progress.update(self._task, completed=min(time.perf_counter() - began_s, total_s))
            self._progress.refresh()
            await asyncio.sleep(REFRESH_S)
