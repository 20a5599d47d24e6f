"""An alarm that wakes its task at an exact time.

asyncio's own timers are late by up to a millisecond and more: epoll takes whole milliseconds. Linux's timerfd rings to
some microseconds and costs nothing while it waits. It has no Python binding before 3.13, so it is called through
ctypes; where it is missing, the last milliseconds are spent polling instead.
"""

import asyncio
import ctypes
import os
import sys
import time
from typing import Self

TIMER_SLACK_S = 0.001  # epoll rounds a timeout up to the next millisecond
_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class Alarm:
    """Waits for times of ``time.perf_counter``; a context manager within a running event loop, for one task.

    ``exact`` False: without timerfd, by polling.
    """

    def __init__(self, *, exact: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._wanted: asyncio.Future[None] | None = None
        self._early = False
        self._fd = -1
        if exact and sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            if hasattr(self._libc, "timerfd_create"):
                self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)  # perf_counter's clock on Linux
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._on_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def ring(self) -> None:
        """Wake who waits now, or the next one who will: the plan has changed."""
        self._early = True
        self._wake()

    async def until(self, due_s: float | None) -> None:
        """Return at ``due_s``, or as soon as it rings; None waits for the ring alone.

        Yields at least once, also when late: the answers must be read while a backlog is sent.
        """
        if not self._early and (due_s is None or due_s > time.perf_counter()):
            await (self._wait(due_s) if self._fd >= 0 or due_s is None else self._poll(due_s))
        else:
            await asyncio.sleep(0)
        self._early = False

    async def _wait(self, due_s: float | None) -> None:
        self._wanted = self._loop.create_future()
        if due_s is not None:
            self._set(due_s)
        try:
            await self._wanted
        finally:
            self._wanted = None
            if due_s is not None:
                self._set(0.0)

    async def _poll(self, due_s: float) -> None:
        while not self._early and (left_s := due_s - time.perf_counter()) > 0:  # noqa: ASYNC110 - the clock is no event
            # In naps, for a ring must be heard; the last bit is spent polling, which reads answers meanwhile.
            await asyncio.sleep(min(max(left_s - TIMER_SLACK_S, 0.0), 0.05))

    def _set(self, due_s: float) -> None:
        """Set the timer to an absolute time; 0 stops it."""
        whole = int(due_s)
        spec = _Itimerspec(it_value=_Timespec(tv_sec=whole, tv_nsec=int((due_s - whole) * 1e9)))
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)

    def _on_fd(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # stopped between the ring and the reading
        self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
