"""The alarm: never early but when it rings, with the kernel's timer and without it."""

import asyncio
import os
import time

import pytest

from workload import lifecycle
from workload.replay.alarm import Alarm


@pytest.fixture(params=[True, False], ids=["timerfd", "polling"])
def exact(request):
    return request.param


def with_alarm(exact, story):
    async def run():
        with Alarm(exact=exact) as alarm:
            return await asyncio.wait_for(story(alarm), 10)

    return asyncio.run(run())


def test_it_never_wakes_before_its_time(exact):
    async def story(alarm):
        early = 0
        due_s = time.perf_counter()
        for gap_s in (0.0, 0.0004, 0.003, 0.011, 0.02):
            due_s += gap_s
            await alarm.until(due_s)
            early += time.perf_counter() < due_s
        return early

    assert with_alarm(exact, story) == 0


def test_a_ring_wakes_who_waits_long_or_for_ever(exact):
    async def story(alarm):
        for due_s in (time.perf_counter() + 3600, None):
            asyncio.get_running_loop().call_later(0.01, alarm.ring)
            await alarm.until(due_s)
        return True

    assert with_alarm(exact, story)


def test_a_ring_that_nobody_heard_is_not_lost_and_counts_once(exact):
    async def story(alarm):
        alarm.ring()
        await alarm.until(time.perf_counter() + 3600)
        due_s = time.perf_counter() + 0.01
        await alarm.until(due_s)
        return time.perf_counter() >= due_s

    assert with_alarm(exact, story)


def test_who_is_late_still_lets_others_run(exact):
    async def story(alarm):
        ran = []
        asyncio.get_running_loop().call_soon(ran.append, 1)
        await alarm.until(0.0)
        return ran

    assert with_alarm(exact, story) == [1]


def test_a_cancelled_wait_leaves_the_alarm_usable_and_its_descriptor_is_given_back():
    async def story():
        with Alarm() as alarm:
            fd = alarm._fd
            task = asyncio.create_task(alarm.until(time.perf_counter() + 3600))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await alarm.until(time.perf_counter() + 0.002)
        return fd

    fd = asyncio.run(story())
    if fd >= 0:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_priority_is_what_the_system_grants(monkeypatch):
    def refuse(*_):
        raise PermissionError

    asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *a: asked.append(a))
    assert lifecycle.raise_priority() == "real-time"
    assert asked[0][1] == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", lambda *a: asked.append(a))
    assert lifecycle.raise_priority() == "raised"
    monkeypatch.setattr(os, "setpriority", refuse)
    assert lifecycle.raise_priority() == "normal"
