"""What ownership needs of the services it owns: how to make, feed, save and restore one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from collector.schema.codec import Batch


class Service(Protocol):
    """What ownership needs of a service's state (``streams.processors.service.ServiceState``)."""

    offset: int

    def results(self, batch: Batch, offset: int, appended_at: int | None = None) -> Iterator[object]:
        """Apply the batch; work out what it gives rise to one by one, to be taken to the end.

        An offset at or below ``self.offset`` changes nothing.
        """

    def snapshot(self) -> bytes:
        """Return the whole state, ``offset`` included."""


S = TypeVar("S", bound=Service)
C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKit(Generic[S, C]):
    """How to make, restore and count a service.

    Attributes:
        fresh: a new state for a service's name; the flag says that its agents may have sent messages before.
        restore: a state from a snapshot; raises ``bad`` for bytes that are none.
        counters: what is shown of a state as counters, as immutable values.
        bad: the error ``restore`` raises.
        services_max: services a partition keeps apart; further ones share a state.
    """

    fresh: Callable[[str, bool], S]
    restore: Callable[[bytes], S]
    counters: Callable[[S], C]
    bad: type[Exception]
    services_max: int
