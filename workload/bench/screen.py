"""What a benchmark shows while it runs, on stderr: a line that is drawn anew, without a terminal one now and then."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH_S = 0.25
PLAIN_EVERY_S = 10.0  # between two lines where there is no terminal


class Screen:
    """A progress line, or plain lines where stderr is no terminal; a context manager. Silent where not ``shown``."""

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
        self._plain = shown and not console.is_terminal
        self._what = ""
        self._began_s = self._told_s = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def tell(self, what: str) -> None:
        """Say what is being done."""
        self._what = what
        self._progress.update(self._task, description=what)
        self._refresh()

    def steps(self, total: int | None) -> Callable[[], None]:
        """Begin a stretch of ``total`` steps (None: nobody knows how many); call what is returned after each."""
        self._progress.reset(self._task, total=total)

        def step() -> None:
            self._progress.advance(self._task)
            self._refresh()

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
            self._refresh()
            await asyncio.sleep(REFRESH_S)

    def _refresh(self) -> None:
        self._progress.refresh()
        now_s = time.perf_counter()
        if self._plain and now_s - self._told_s >= PLAIN_EVERY_S:
            self._told_s = now_s
            sys.stderr.write(f"bench: {self._what}, {now_s - self._began_s:.0f} s so far\n")
            sys.stderr.flush()
