"""Who holds which state, and up to which source offset: one partition's services and their snapshots.

Rules of this file:
- It never sees Faust, Kafka or a clock; the shell calls in and writes out.
- Per partition the source log is applied in offset order without a hole. An offset above the next one is
  refused (``GAP``): the shell moves the reading position back. One below it changes nothing.
- A service's snapshot carries its own offset, so any mix of older and newer snapshots and records (a crash
  between two writes, a late write of a worker that already lost the partition) restores to an exact state:
  reading starts at the lowest offset any service still needs, and each service skips what it contains.
- So services need not be saved all at once: those waiting longest come first, a few at a time. The record says up to
  where *every* service is saved, and nothing beyond that is called durable.
- Which service has a state of its own is decided by roster.py. One that gave up its place is erased from the
  changelog after the record that no longer names it, never before.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from typing import Generic

from collector.schema import codec
from collector.schema.codec import Batch
from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from streams.worker.kit import C, S, ServiceKit
from streams.worker.records import (
    EMPTY,
    WRONG_KEY,
    WRONG_KIND,
    PartitionRecord,
    format_record,
    partition_key,
    service_key,
)
from streams.worker.roster import Roster


class Admission(Enum):
    """What to do with a message."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion(Generic[C]):
    """Snapshots of some services, each as of its own offset. To be written before the seal."""

    first: Mapping[str, int]  # the first message that was not in the snapshot before
    offsets: Mapping[str, int]
    bodies: Mapping[bytes, bytes]
    counters: Mapping[str, C]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The partition's record over some portions; what is erased goes out after it has landed."""

    durable_offset: int
    next_offset: int
    key: bytes
    body: bytes
    erased: Mapping[str, bytes]


@dataclass(slots=True, kw_only=True)
class Restored(Generic[S]):
    """What the changelog knows of a partition.

    Attributes:
        low: all services but those in ``behind`` contain everything up to there.
        ahead: states newer than the record and not named in it: taken up when their service is.
        gone: services to be erased from the changelog.
        behind: services whose state is older than the record says, or lost.
    """

    roster: Roster
    services: dict[str, S] = field(default_factory=dict)
    next_offset: int | None = None
    durable_offset: int | None = None
    low: int = -1
    ahead: dict[str, S] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    behind: frozenset[str] = frozenset()
    broken: list[str] = field(default_factory=list)


class PartitionState(Generic[S, C]):
    """The services of one partition.

    Attributes:
        next_offset: the source offset to apply next; None where the changelog knows nothing.
        durable_offset: every message below is contained in snapshots that are safe in the changelog.
        durable: per service, its counters as of its last safe snapshot. Counters shown to the world come from
            here: they never go backwards, whatever is killed.
        roster: which services have a state of their own.
        said: the agent of the message applied last, and its watermark.
        busy: a message is half applied: there is no snapshot now.
        rewinding: a hole was seen and the reading position is being moved back.
        broken: services whose snapshot was missing or unreadable: the log is read again for them.
    """

    def __init__(self, partition: int, kit: ServiceKit[S, C], restored: Restored[S]) -> None:
        self.partition = partition
        self.next_offset = restored.next_offset
        self.durable_offset = restored.durable_offset
        self.services = restored.services
        self.roster = restored.roster
        self.broken = restored.broken
        self.durable: dict[str, C] = {name: kit.counters(state) for name, state in self.services.items()}
        self.said: tuple[str, int | None] = ("", None)
        self.rewinding = False
        self.busy = False
        self._kit = kit
        self._ahead = restored.ahead
        self._low, self._behind = restored.low, restored.behind
        self._unsaved: dict[str, int] = {}  # by service, the first message its snapshot lacks; lowest first
        self._saved = {name: state.offset for name, state in self.services.items()}
        self._gone = dict.fromkeys(restored.gone)
        self._sealed = restored.durable_offset

    def admit(self, offset: int) -> Admission:
        """Return whether the message at ``offset`` is the next one, an old one, or beyond a hole."""
        if self.next_offset is None or offset == self.next_offset:
            self.rewinding = False
            return Admission.APPLY
        return Admission.DUPLICATE if offset < self.next_offset else Admission.GAP

    def apply(
        self, offset: int, key: bytes | None, body: bytes | None, *, appended_at: int | None = None
    ) -> Iterator[object]:
        """Yield the rows and episodes the admitted message gives rise to; to be taken to the end.

        The message counts as seen whatever happens. Raises ``BadMessage`` for one that cannot be used;
        anything else raised is a fault of the processors. If it is left in the middle (the worker stops), the
        partition stays ``busy``: no snapshot of it is taken any more, and the message is done again elsewhere.
        """
        self.busy = True
        try:
            self.next_offset, self.said = offset + 1, ("", None)
            yield from self._results(offset, read_batch(key, body, set(Kind)), appended_at)
        except Exception:
            self.busy = False
            raise
        self.busy = False

    def _results(self, offset: int, batch: Batch, appended_at: int | None) -> Iterator[object]:
        self.said = (batch.agent, batch.watermark)
        events = batch.n > 0 and batch.kind is not Kind.RESOURCE
        place = self.roster.place(batch.key, offset, appended_at=appended_at, events=events)
        if place.evicted is not None:
            self._evict(place.evicted, offset)
        home = place.home
        if home is None or (offset <= self._low and home not in self._behind):
            return iter(())
        state = self.services.get(home) or self._take_up(home, offset)
        if offset > state.offset:
            self._unsaved.setdefault(home, offset)
        if home != batch.key:
            batch = replace(batch, agent=f"{batch.agent}@{batch.key}")  # one number line per agent and service
        return state.results(batch, offset, appended_at)

    def _take_up(self, home: str, offset: int) -> S:
        state = self._ahead.pop(home, None)
        if state is not None and state.offset >= offset:  # what the changelog has reaches further than the record
            self._saved[home] = state.offset
            self.durable[home] = self._kit.counters(state)
        else:
            state = self._kit.fresh(home, self.roster.joined(home))
        self.services[home] = state
        self._gone.pop(home, None)
        return state

    def _evict(self, name: str, offset: int) -> None:
        self._gone[name] = None
        for known in (self._saved, self._unsaved, self.durable):
            known.pop(name, None)
        state = self.services.pop(name, None)
        if state is not None and state.offset > offset:  # read again: it will come back before that offset
            self._ahead[name] = state
            del self._gone[name]

    def save(self, most: int) -> Portion[C] | None:
        """Return snapshots of up to ``most`` services that have something unsaved, the longest waiting first.

        None if there is nothing, or while ``busy``. The caller goes on until it has enough, asks for the ``seal``,
        and reports how it went: ``landed`` or ``failed``.
        """
        names = list(islice(self._unsaved, most))
        if self.busy or not names:
            return None
        return Portion(
            first={name: self._unsaved.pop(name) for name in names},
            offsets={name: self.services[name].offset for name in names},
            bodies={service_key(self.partition, name): self.services[name].snapshot() for name in names},
            counters={name: self._kit.counters(self.services[name]) for name in names},
        )

    def seal(self, portions: Sequence[Portion[C]]) -> Seal | None:
        """Return the record to be written after ``portions``; None if it would say nothing new, or while ``busy``."""
        if self.busy or self.next_offset is None or (not portions and self.next_offset == self._sealed):
            return None
        low = min(self._unsaved.values(), default=self.next_offset) - 1
        self.roster.forget(low)
        saved = dict(self._saved)
        for portion in portions:
            saved.update(self._still_valid(portion))
        record = PartitionRecord(low=low, roster=self.roster.dump(), saved=saved)
        return Seal(
            durable_offset=low + 1,
            next_offset=self.next_offset,
            key=partition_key(self.partition),
            body=format_record(record),
            erased={name: service_key(self.partition, name) for name in self._gone},
        )

    def _still_valid(self, portion: Portion[C]) -> dict[str, int]:
        """Return the offsets of the services that neither gave up their place since they were saved nor began anew."""
        found = {}
        for name, at in portion.offsets.items():
            state = self.services.get(name)
            if state is not None and contains(at, self.roster.since(name)) and at <= state.offset:
                found[name] = at
        return found

    def landed(self, portions: Sequence[Portion[C]], seal: Seal | None) -> None:
        """Note that everything is safe in the changelog, in the order portions, seal, erasures."""
        for portion in portions:
            valid = self._still_valid(portion)
            self._saved.update(valid)
            self.durable.update({name: portion.counters[name] for name in valid})
        if seal is not None:
            self.durable_offset, self._sealed = seal.durable_offset, seal.next_offset
            for name in seal.erased:
                self._gone.pop(name, None)

    def failed(self, portions: Sequence[Portion[C]]) -> None:
        """Note that nothing is known to have landed: the services are part of the next round."""
        for portion in portions:
            for name in self._still_valid(portion):
                self._unsaved[name] = min(portion.first[name], self._unsaved.get(name, portion.first[name]))
        self._unsaved = dict(sorted(self._unsaved.items(), key=lambda item: item[1]))
        self._sealed = None

    @property
    def waiting(self) -> int:
        """Services with something unsaved."""
        return len(self._unsaved)

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
        self.roster.start_over()
        self._low, self._behind = -1, frozenset()
        self._gone |= dict.fromkeys(self._ahead)
        self._ahead = {}
        for state in self.services.values():
            state.offset = -1
        self._saved = {}
        self._unsaved = dict.fromkeys(self.services, 0)


def contains(offset: int, since: int) -> bool:
    """True if a state as of ``offset`` is of a service whose place is its own from ``since`` on.

    One that has a place from the log's beginning may contain nothing of this log, but all of the one before it.
    """
    return offset >= since or since == 0


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
