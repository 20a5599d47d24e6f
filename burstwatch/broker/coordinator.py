"""All consumer groups, on the event loop: the clock and the timers that `Group` does without."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from burstwatch.broker.group import Group

T = TypeVar("T")


class Coordinator:
    """The groups by name. Groups without members are dropped; their offsets live in the catalogue."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def now(self) -> float:
        """Return the time groups count in: seconds, monotonic."""
        return asyncio.get_running_loop().time()

    def group(self, group_id: str) -> Group:
        """Return the group, or an empty one to join."""
        return self.groups.get(group_id) or Group(group_id)

    def keep(self, group: Group) -> None:
        """Call after each change of a group: sets its next timer, or drops it when nobody is left."""
        if timer := self._timers.pop(group.group_id, None):
            timer.cancel()
        deadline = group.deadline()
        if deadline is None and not group.members:
            self.groups.pop(group.group_id, None)
            return
        self.groups[group.group_id] = group
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timers[group.group_id] = loop.call_at(deadline, self._tick, group)

    def _tick(self, group: Group) -> None:
        group.tick(self.now())
        self.keep(group)


def answer_into(future: "asyncio.Future[T]") -> Callable[[T], None]:
    """Return a callback that completes the future, unless its client has gone."""

    def answer(result: T) -> None:
        if not future.done():
            future.set_result(result)

    return answer
