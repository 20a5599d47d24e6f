"""Where live events enter: a bounded queue that never makes its caller wait.

The event loop puts, the pump's thread takes. A *mark* says that every event up to a time has been put: it is
put by the same thread that reads the clock for the events, so nothing can slip behind it.
"""

from collections import Counter, deque
from collections.abc import Iterator

from collector.schema.events import Event
from collector.sources.base import Emit, Lane

INTAKE_MAX = 10_000


class Intake:
    """The queue between live sources and the pump.

    Attributes:
        dropped: events refused per lane because the queue was full; only ever counts up.
    """

    def __init__(self, most: int = INTAKE_MAX) -> None:
        self._most = most
        self._queue: deque[tuple[Lane, Event] | int] = deque()
        self.dropped: Counter[Lane] = Counter()
        self._put = 0  # counted by the putting thread only, as _taken is by the taking one
        self._taken = 0

    @property
    def waiting(self) -> int:
        """Return the number of waiting events."""
        return self._put - self._taken

    def emitter(self, lane: Lane) -> Emit:
        """Return the function with which a source of ``lane`` hands over its events."""

        def emit(event: Event) -> None:
            if len(self._queue) >= self._most:
                self.dropped[lane] += 1
            else:
                self._put += 1
                self._queue.append((lane, event))

        return emit

    def mark(self, now_us: int) -> None:
        """Say that all events before ``now_us`` have been put (or counted as dropped)."""
        self._queue.append(now_us - 1)  # another event may still happen within this very microsecond

    def take(self) -> Iterator[tuple[Lane, Event] | int]:
        """Yield what waits at present: events with their lane, and marks."""
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            self._taken += not isinstance(item, int)
            yield item
