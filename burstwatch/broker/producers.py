"""Which batches of which idempotent producer a partition already holds.

Kafka's rules: a batch sent twice is answered with its first offset, a gap in the sequence is refused.
This file never reads a clock or a file.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from burstwatch.broker.batches import Head, advance
from burstwatch.broker.codes import Code, Refused

_REMEMBERED_BATCHES = 5  # as many as a producer may have in flight
_REMEMBERED_PRODUCERS = 5_000  # per partition; the ones silent for longest are forgotten


@dataclass(slots=True)
class _Producer:
    epoch: int
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BATCHES))


class Producers:
    """The last batches of each producer id in one partition: (first sequence, last sequence, base offset)."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[int, _Producer] = OrderedDict()

    def offset_of_duplicate(self, head: Head) -> int | None:
        """Return the offset a batch already has; None if it is new and may be appended.

        Raises:
            Refused: the producer's epoch is over, or batches before this one are missing.
        """
        producer = self._by_id.get(head.producer_id)
        if head.producer_id < 0 or producer is None:  # unknown: as in Kafka, it may start anywhere
            return None
        if head.producer_epoch < producer.epoch:
            raise Refused(Code.INVALID_PRODUCER_EPOCH, "a newer epoch of this producer has written")
        if head.producer_epoch > producer.epoch:
            if head.first_sequence != 0:
                raise Refused(Code.OUT_OF_ORDER_SEQUENCE, "a new epoch starts with sequence 0")
            return None
        for first, last, offset in producer.batches:
            if (first, last) == (head.first_sequence, head.last_sequence):
                return offset
        expected = advance(producer.batches[-1][1], 1)
        if head.first_sequence != expected:
            raise Refused(Code.OUT_OF_ORDER_SEQUENCE, f"sequence {head.first_sequence}, not {expected}")
        return None

    def on_appended(self, head: Head) -> None:
        """Remember a batch that is now in the log."""
        if head.producer_id < 0 or head.first_sequence < 0:
            return
        producer = self._by_id.get(head.producer_id)
        if producer is None or producer.epoch != head.producer_epoch:
            producer = self._by_id[head.producer_id] = _Producer(head.producer_epoch)
        producer.batches.append((head.first_sequence, head.last_sequence, head.base_offset))
        self._by_id.move_to_end(head.producer_id)
        if len(self._by_id) > _REMEMBERED_PRODUCERS:
            self._by_id.popitem(last=False)

    def snapshot(self) -> list[Any]:
        """Return the state as JSON values, oldest producer first; `restore` takes them back."""
        return [[pid, p.epoch, [list(batch) for batch in p.batches]] for pid, p in self._by_id.items()]

    @classmethod
    def restore(cls, snapshot: list[Any]) -> "Producers":
        """Return the state a snapshot was taken of. Raises ValueError or TypeError if it is none."""
        producers = cls()
        for pid, epoch, batches in snapshot:
            producer = producers._by_id[int(pid)] = _Producer(int(epoch))
            producer.batches.extend((int(first), int(last), int(offset)) for first, last, offset in batches)
        return producers
