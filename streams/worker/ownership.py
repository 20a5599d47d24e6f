"""Who holds which state, and up to which source offset: one partition's services and their snapshots.

Rules of this file:
- It never sees Faust, Kafka or a clock; the shell calls in and writes out.
- Per partition the source log is applied in offset order without a hole. An offset above the next one is
  refused (``GAP``): the shell moves the reading position back. One below it changes nothing.
- A service's snapshot carries its own offset, so any mix of older and newer snapshots and records (a crash
  between two writes, a late write of a worker that already lost the partition) restores to an exact state:
  reading starts at the lowest offset any service still needs, and each service skips what it contains.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

from collector.schema import codec
from collector.schema.codec import Batch
from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from streams.worker.records import (
    EMPTY,
    SERVICE_LIMIT,
    WRONG_KEY,
    WRONG_KIND,
    PartitionRecord,
    format_record,
    parse_record,
    partition_key,
    service_key,
    services_in,
)

SERVICES_MAX = 1_000


class Service(Protocol):
    """What ownership needs of a service's state (``streams.processors.service.ServiceState``)."""

    offset: int

    def results(self, batch: Batch, offset: int) -> Iterator[object]:
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
        fresh: a new state for a service's name.
        restore: a state from a snapshot; raises ``bad`` for bytes that are none.
        counters: what is shown of a state as counters, as immutable values.
        bad: the error ``restore`` raises.
    """

    fresh: Callable[[str], S]
    restore: Callable[[bytes], S]
    counters: Callable[[S], C]
    bad: type[Exception]


class Admission(Enum):
    """What to do with a message."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Generic[C]):
    """One consistent cut of a partition. Bodies are written first, the record when they have landed."""

    offset: int
    bodies: Mapping[bytes, bytes]
    record_key: bytes
    record: bytes
    counters: Mapping[str, C]


class PartitionState(Generic[S, C]):
    """The services of one partition.

    Attributes:
        next_offset: the source offset to apply next; None where the changelog knows nothing.
        durable_offset: ``next_offset`` as of the last snapshot that is safe in the changelog.
        durable: per service, its counters as of that snapshot. Counters shown to the world come from here:
            they never go backwards, whatever is killed.
        busy: a message is half applied: there is no snapshot now.
        rewinding: a hole was seen and the reading position is being moved back.
        broken: services whose snapshot was missing or unreadable: the log is read again for them.
    """

    def __init__(self, partition: int, kit: ServiceKit[S, C], restored: "Restored[S] | None" = None) -> None:
        restored = restored or Restored()
        self.partition = partition
        self.next_offset = restored.next_offset
        self.durable_offset = restored.recorded_offset
        self.services = restored.services
        self.broken = restored.broken
        self.durable: dict[str, C] = {name: kit.counters(state) for name, state in self.services.items()}
        self.rewinding = False
        self.busy = False
        self._kit = kit
        self._dirty: set[str] = set()

    def admit(self, offset: int) -> Admission:
        """Return whether the message at ``offset`` is the next one, an old one, or beyond a hole."""
        if self.next_offset is None or offset == self.next_offset:
            self.rewinding = False
            return Admission.APPLY
        return Admission.DUPLICATE if offset < self.next_offset else Admission.GAP

    def apply(self, offset: int, key: bytes | None, body: bytes | None) -> Iterator[object]:
        """Yield the rows and episodes the admitted message gives rise to; to be taken to the end.

        The message counts as seen whatever happens. Raises ``BadMessage`` for one that cannot be used;
        anything else raised is a fault of the processors. If it is left in the middle (the worker stops), the
        partition stays ``busy``: no snapshot of it is taken any more, and the message is done again elsewhere.
        """
        self.busy = True
        try:
            yield from self._results(offset, key, body)
        except Exception:
            self.busy = False
            raise
        self.busy = False

    def _results(self, offset: int, key: bytes | None, body: bytes | None) -> Iterator[object]:
        self.next_offset = offset + 1
        batch = read_batch(key, body, set(Kind))
        state = self.services.get(batch.key)
        if state is None:
            if len(self.services) >= SERVICES_MAX:
                raise BadMessage(SERVICE_LIMIT, f"more than {SERVICES_MAX} services in one partition")
            state = self.services[batch.key] = self._kit.fresh(batch.key)
        self._dirty.add(batch.key)
        return state.results(batch, offset)

    def snapshot(self) -> Snapshot[C] | None:
        """Return what must be written to keep everything applied so far; None if nothing is new, or ``busy``.

        The caller reports how it went: ``landed`` or ``failed``.
        """
        if self.busy or self.next_offset is None or self.next_offset == self.durable_offset:
            return None
        names = sorted(self._dirty)
        self._dirty = set()
        offsets = {name: state.offset for name, state in self.services.items()}
        return Snapshot(
            offset=self.next_offset - 1,
            bodies={service_key(self.partition, name): self.services[name].snapshot() for name in names},
            record_key=partition_key(self.partition),
            record=format_record(PartitionRecord(offset=self.next_offset - 1, services=offsets)),
            counters={name: self._kit.counters(self.services[name]) for name in names},
        )

    def landed(self, snapshot: Snapshot[C]) -> None:
        """Note that ``snapshot`` is safe in the changelog, record included."""
        self.durable_offset = snapshot.offset + 1
        self.durable.update(snapshot.counters)

    def failed(self, snapshot: Snapshot[C]) -> None:
        """Note that ``snapshot`` may not have landed: its services are part of the next one."""
        self._dirty |= snapshot.counters.keys()

    def log_resumes_at(self, offset: int) -> int:
        """Take note that the log holds nothing from ``next_offset`` up to ``offset``; return how much that is."""
        missing = 0 if self.next_offset is None else max(0, offset - self.next_offset)
        self.next_offset = offset if self.next_offset is None else max(offset, self.next_offset)
        return missing

    def log_was_replaced(self) -> None:
        """Start over at offset 0: the log ends before what was applied, so it is another log.

        States are kept; messages they contain are recognised by their identity.
        """
        self.next_offset = 0
        for state in self.services.values():
            state.offset = -1
        self._dirty = set(self.services)


@dataclass(slots=True, kw_only=True)
class Restored(Generic[S]):
    """What the changelog knows of a partition."""

    services: dict[str, S] = field(default_factory=dict)
    next_offset: int | None = None
    recorded_offset: int | None = None
    broken: list[str] = field(default_factory=list)


def restore(partition: int, changelog: Mapping[bytes, bytes], kit: ServiceKit[S, C]) -> PartitionState[S, C]:
    """Return the partition as ``changelog`` (latest body per key) holds it.

    Reading resumes after the record's offset, or earlier: after a service's snapshot that is older than the
    record says; at 0 if a snapshot is missing or unreadable, or if there are snapshots but no record.
    """
    found: Restored[S] = Restored()
    names = services_in(partition, changelog)
    for name in names:
        try:
            found.services[name] = kit.restore(changelog[service_key(partition, name)])
        except kit.bad:
            found.broken.append(name)
    record = parse_record(changelog.get(partition_key(partition)))
    if record is None:
        found.next_offset = 0 if names else None
    else:
        found.broken += sorted(record.services.keys() - set(names))
        needed = [record.offset] + [-1] * len(found.broken)
        have = {name: state.offset for name, state in found.services.items()}
        needed += [have[name] for name, at in record.services.items() if name in have and have[name] < at]
        found.next_offset = min(needed) + 1
        found.recorded_offset = record.offset + 1
    return PartitionState(partition, kit, found)


def read_batch(key: bytes | None, body: bytes | None, kinds: Collection[Kind]) -> Batch:
    """Return the batch in a Kafka message. Raises ``BadMessage`` unless it is one of ``kinds`` under its own key.

    A service's log holds all kinds: its engines' readings come beside its requests.
    """
    if not body:
        raise BadMessage(EMPTY, "the message has no value")
    batch = codec.decode(body)
    if batch.kind not in kinds:
        raise BadMessage(WRONG_KIND, f"{batch.kind.value} batches belong to another topic")
    if key != batch.key.encode():
        raise BadMessage(WRONG_KEY, "the Kafka key is not the batch's key")
    return batch
