"""Faust's Kafka consumer, reading from where the state is, not from where the group last committed.

Faust 0.15.3's own bookkeeping of positions loses messages after a kill -9 (tests/faults/test_worker_faults.py
shows it): it acks what it skips, it fills holes, it seeks while a partition is being read. So here
- reading starts at the offset the restored state asks for; the group's commit is only a hint for lag tools;
- a partition is moved back on request, between two fetches, never under a running one;
- resuming partitions can be held back until the seek is done (faust_recovery.py).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 250
END_OLD_S = 30.0


class Positions(Protocol):
    """Where reading must start, by partition of the source topic; told what the log really holds."""

    def wanted(self) -> Mapping[TP, int | None]:
        """Return the next offset of every owned partition; None to take the log from its start."""

    def log_resumes_at(self, tp: TP, offset: int) -> None:
        """Note that the log has nothing before ``offset`` (retention)."""

    def log_was_replaced(self, tp: TP) -> None:
        """Note that the log ends before the wanted offset: it is a new one."""

    def moved(self, tp: TP) -> None:
        """Note that a rewind was carried out."""


class PatientThread(AIOKafkaConsumerThread):  # type: ignore[misc]  # faust is untyped here
    """A commit that fails is a hint that was not given, no reason to crash the worker."""

    def _create_consumer(self, loop: Any) -> Any:  # noqa: ANN401 - aiokafka's
        # A request waits behind a long-polling fetch on the same connection: Faust's 1.5 s would make every
        # seek take that long. New messages end the poll at once, so latency stays the same.
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - Faust offers no setting
        return consumer

    async def bounds(self, tps: list[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        """Return first offset and end offset of each partition, in one round."""
        consumer = self._ensure_consumer()

        async def ask() -> tuple[Mapping[TP, int], Mapping[TP, int]]:
            first, end = await asyncio.gather(consumer.beginning_offsets(tps), consumer.end_offsets(tps))
            return first, end

        found: tuple[Mapping[TP, int], Mapping[TP, int]] = await self.call_thread(ask)
        return found

    def known_end(self, tp: TP) -> int | None:
        """Return where ``tp`` ends by the newest answer to a fetch, without asking; None if that is too old."""
        consumer = self._consumer
        try:
            told_ms, end = consumer.last_poll_timestamp(tp), consumer.highwater(tp)
        except (AssertionError, AttributeError, KeyError, IllegalStateError):
            return None  # not there yet, or being taken away in the consumer's own thread
        # aiokafka's stamps are wall clock
        return end if told_ms is not None and time.time() - told_ms / 1000 < END_OLD_S else None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        assigned = self.assignment()
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            await self._ensure_consumer().commit(wanted)
        except KafkaError as error:
            log.info("commit=refused reason=%s", type(error).__name__)
            return False
        return True


class StatefulConsumer(Consumer):  # type: ignore[misc]  # same
    """Reads each partition from where its state says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(*args, **kwargs)
        self._held: set[TP] | None = None
        self._rewinds: dict[TP, int] = {}
        self._suspected_holes: dict[TP, int] = {}
        self._sought: dict[TP, int] = {}

    def _new_consumer_thread(self) -> PatientThread:
        return PatientThread(self, loop=self.loop, beacon=self.beacon)

    # -- seek first, resume afterwards

    @contextmanager
    def resumes_held(self) -> Iterator[None]:
        """Collect ``resume_partitions`` inside the block and carry it out at its end, if it ends well."""
        self._held = set()
        try:
            yield
            held = self._held
        finally:
            self._held = None
        super().resume_partitions(held)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume fetching, or note it down while resuming is held back."""
        if self._held is None:
            super().resume_partitions(tps)
        else:
            self._held |= set(tps)

    # -- start where the state is

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek the state's own partitions to where it wants, the others to the group's commit."""
        offsets = dict(await super().seek_to_committed())
        offsets.update(await self._move(self.transport.positions.wanted()))
        return offsets

    async def _move(self, wanted: Mapping[TP, int | None]) -> dict[TP, int]:
        positions: Positions = self.transport.positions
        assigned = self.assignment()
        tps = [tp for tp in wanted if tp in assigned]
        if not tps:
            return {}
        first, end = await self._thread.bounds(tps)
        targets = {}
        for tp in tps:
            target = wanted[tp]
            if target is not None and target > end[tp]:
                positions.log_was_replaced(tp)
                target = 0
            if target is None or target < first[tp]:
                target = first[tp]
                positions.log_resumes_at(tp, target)
            targets[tp] = target
        await self.seek_wait(targets)
        self._sought.update(targets)
        return targets

    def known_end(self, tp: TP) -> int | None:
        """See ``PatientThread``."""
        end: int | None = self._thread.known_end(tp)
        return end

    # -- move back on request

    def rewind(self, tp: TP, offset: int) -> None:
        """Ask for ``tp`` to be read again from ``offset``; nothing of it is delivered until then."""
        self._rewinds[tp] = offset

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's name
        """Fetch messages; what was asked to be rewound is sought first."""
        if self._rewinds:
            await self._carry_out_rewinds()
        async for tp, message in super().getmany(timeout):
            if tp not in self._rewinds and self._follows(tp, message.offset):
                yield tp, message

    async def _carry_out_rewinds(self) -> None:
        asked = dict(self._rewinds)
        try:
            await self._move(asked)
        except (KafkaError, TimeoutError) as error:
            log.warning("rewind=failed reason=%s retry=next_fetch", type(error).__name__)
            return
        for tp, offset in asked.items():
            if self._rewinds.get(tp) == offset:
                del self._rewinds[tp]
            self.transport.positions.moved(tp)

    def _follows(self, tp: TP, offset: int) -> bool:
        # The first message after a seek shows whether the log has a hole there (Kafka's own control records
        # leave some). It is believed the second time only: the first might stem from a fetch before the seek.
        sought = self._sought.pop(tp, None)
        if sought is None or offset <= sought:
            return True
        if self._suspected_holes.get(tp) == sought:
            del self._suspected_holes[tp]
            self.transport.positions.log_resumes_at(tp, offset)
            return True
        self._suspected_holes[tp] = sought
        self.rewind(tp, sought)
        return False

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget requests about partitions that are being taken away."""
        for tp in revoked:
            self._rewinds.pop(tp, None)
            self._sought.pop(tp, None)
            self._suspected_holes.pop(tp, None)
        await super().on_partitions_revoked(revoked)


class StatefulTransport(Transport):  # type: ignore[misc]  # same
    """Faust's aiokafka transport with the consumer above."""

    Consumer = StatefulConsumer

    def __init__(self, urls: Any, app: Any, positions: Positions) -> None:  # noqa: ANN401 - faust's types
        super().__init__(urls, app)
        self.positions = positions
