"""A snapshot round: from the states to the changelog, in bounded portions, in the order that makes any crash harmless.

First all results of what is in the snapshots must be in Kafka; then go the snapshots, then the partitions' records,
then the erasures of services the records no longer name, and only then the commits. With thousands of services a
round takes those waiting longest, up to ``ROUND_BYTES``; the record says up to where all are saved.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.export.samples import Counters
from streams.export.tally import Tally
from streams.processors.service import ServiceState
from streams.worker.edge import Entry, Kafka
from streams.worker.outbox import Outbox
from streams.worker.ownership import PartitionState, Portion, Seal

log = logging.getLogger(__name__)

SERVICES_AT_ONCE = 4  # encoded before everybody else in the loop has a turn
ROUND_BYTES = 8 << 20

Partition = PartitionState[ServiceState, Counters]


@dataclass(slots=True)
class Cut:
    """What a snapshot round keeps of one partition."""

    partition: Partition
    portions: list[Portion[Counters]]
    seal: Seal | None = None


class Rounds:
    """Takes snapshots of the partitions there are."""

    def __init__(
        self,
        partitions: Mapping[int, Partition],
        outbox: Outbox,
        kafka: Kafka,
        tally: Tally,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._partitions = partitions
        self._outbox = outbox
        self._kafka = kafka
        self._tally = tally
        self._clock = clock

    async def run(self) -> None:
        """Make what was applied safe, or as much of it as a round takes, oldest first.

        While Kafka is away, everything stays for the next round.
        """
        started_s = self._clock()
        cuts = [Cut(partition, []) for partition in self._partitions.values()]
        landed = False
        try:
            await _take_portions(cuts)
            for cut in cuts:
                cut.seal = cut.partition.seal(cut.portions)
            cuts = [cut for cut in cuts if cut.portions or cut.seal]
            if not cuts:
                return
            await self._outbox.delivered()
            for entries in _entries(cuts):
                await self._kafka.write(entries)
            landed = True
        except self._kafka.errors as error:
            log.warning("snapshot=failed reason=%s retry=next_round", type(error).__name__)
        finally:
            self._settle(cuts, landed=landed, took_s=self._clock() - started_s)
        await self._commit(cuts, landed=landed)

    async def _commit(self, cuts: Sequence[Cut], *, landed: bool) -> None:
        owned = [cut for cut in cuts if self._partitions.get(cut.partition.partition) is cut.partition]
        offsets = {cut.partition.partition: cut.seal.durable_offset for cut in owned if cut.seal is not None}
        if landed and offsets:
            await self._kafka.commit(offsets)

    def _settle(self, cuts: Sequence[Cut], *, landed: bool, took_s: float) -> None:
        if not cuts:
            return
        for cut in cuts:
            cut.partition.landed(cut.portions, cut.seal) if landed else cut.partition.failed(cut.portions)
        self._tally.undelivered = self._outbox.refused
        if not landed:
            self._tally.snapshot_failures += 1
            return
        self._tally.snapshots += 1
        self._tally.snapshot_bytes = sum(len(b) for cut in cuts for p in cut.portions for b in p.bodies.values())
        self._tally.snapshot_duration_s = took_s


async def _take_portions(cuts: Sequence[Cut]) -> None:
    """Add snapshots to ``cuts``, partition by partition in turn, with a pause for everybody else after each few."""
    left = {cut.partition.partition: cut.partition.waiting for cut in cuts}
    size = 0
    while left and size < ROUND_BYTES:
        for cut in cuts:
            number = cut.partition.partition
            portion = cut.partition.save(min(SERVICES_AT_ONCE, left[number])) if number in left else None
            if portion is None:
                left.pop(number, None)
                continue
            left[number] -= len(portion.first)
            size += sum(map(len, portion.bodies.values()))
            cut.portions.append(portion)
            await asyncio.sleep(0)


def _entries(cuts: Sequence[Cut]) -> Iterator[list[Entry]]:
    """Yield what goes into the changelog, one after the other: snapshots, records, what they no longer name."""
    yield [(c.partition.partition, key, body) for c in cuts for p in c.portions for key, body in p.bodies.items()]
    sealed = [(cut.partition.partition, cut.seal) for cut in cuts if cut.seal is not None]
    yield [(number, seal.key, seal.body) for number, seal in sealed]
    yield [(number, key, None) for number, seal in sealed for key in seal.erased.values()]
