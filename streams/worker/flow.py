"""What happens to each message, and how it is made safe. Everything Kafka comes in as a function: no Faust here.

How a result is exact although delivery is at-least-once and Faust loses track of offsets: every source message
is applied in offset order; a snapshot round waits until all results are in Kafka, writes the changed services'
snapshots, then the partitions' records, and only then commits. After any crash the state is some earlier point
of the same log, and applying the log from there gives the same rows again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from collector.schema.topics import DEAD_LETTER, EPISODES, REQUESTS, RESOURCES, WINDOWS
from streams.export.samples import Counters, service_counters
from streams.export.tally import Tally
from streams.processors.episodes import AnyEpisode, episode_message
from streams.processors.outputs import WindowRow, window_message
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.snapshot import BadSnapshot
from streams.worker.outbox import Outbox, Parcel, Send
from streams.worker.ownership import Admission, PartitionState, ServiceKit, Snapshot, read_batch, restore
from streams.worker.records import PROCESSOR_ERROR, DeadLetter, format_dead_letter
from streams.worker.resources import ResourceBoard

log = logging.getLogger(__name__)

RESULTS_AT_ONCE = 250  # then everybody else in the loop has a turn: some 30 ms

SILENT_S = 60.0

Partition = PartitionState[ServiceState, Counters]
Cut = tuple[Partition, Snapshot[Counters]]
Entry = tuple[int, bytes, bytes]  # partition, key, body


class Message(Protocol):
    """A Kafka message as Faust hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """What the flow may do to Kafka.

    Attributes:
        send: hand a result to the producer.
        write: put entries into the changelog; returns when Kafka has them.
        commit: commit next offsets by partition; may fail silently, it is a hint.
        rewind: read a partition again from an offset; None leaves holes as they are (see ``app.Guards``).
        errors: what ``write`` raises while Kafka is away.
    """

    send: Send
    write: Callable[[Sequence[Entry]], Awaitable[None]]
    commit: Callable[[Mapping[int, int]], Awaitable[None]]
    rewind: Callable[[int, int], None] | None
    errors: type[Exception]


class Flow:
    """All state of one worker.

    Attributes:
        partitions: the partitions this worker owns.
        board: latest resource readings.
        tally: process counters.
    """

    def __init__(self, settings: AnalysisSettings, kafka: Kafka, clock: Callable[[], float]) -> None:
        self.partitions: dict[int, Partition] = {}
        self.board = ResourceBoard()
        self.tally = Tally()
        self._kafka = kafka
        self._clock = clock
        self._outbox = Outbox(kafka.send)
        self._heard_s: dict[str, float] = {}  # by service; of owned partitions only
        self._kit = ServiceKit(
            fresh=lambda name: ServiceState(name, settings),
            restore=lambda body: ServiceState.restore(body, settings),
            counters=service_counters,
            bad=BadSnapshot,
        )

    # -- messages in

    async def on_request(self, message: Message) -> None:
        """Apply one message: at once for everybody else in the loop, unless it gives rise to very many results.

        Those are worked out and sent in portions; the partition has no snapshot until the last is sent.
        """
        partition = self.partitions.get(message.partition)
        if partition is None:
            return
        self.tally.messages[REQUESTS] += 1
        admission = partition.admit(message.offset)
        if admission is Admission.GAP and self._kafka.rewind is not None:
            self._rewind(partition, message)
            return
        if admission is Admission.DUPLICATE:
            return
        try:
            for count, result in enumerate(partition.apply(message.offset, message.key, message.value), 1):
                self._publish(result)
                if count % RESULTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                    await self._outbox.room()
                    if self.partitions.get(message.partition) is not partition:
                        return  # taken away meanwhile: whoever has it now does the message again
        except Exception as error:  # noqa: BLE001 - an exception would leave the agent and lose the message
            self._reject(message, error)
        name = (message.key or b"").decode(errors="replace")
        if name in partition.services:  # never for a made-up key: what is remembered stays bounded
            self._heard_s[name] = self._clock()
        await self._outbox.room()

    def on_resource(self, message: Message) -> None:
        """Take over a node's readings."""
        self.tally.messages[RESOURCES] += 1
        try:
            batch = read_batch(message.key, message.value, {Kind.RESOURCE})
            self.board.apply(message.partition, batch, self._clock())
        except Exception as error:  # noqa: BLE001 - same
            self._reject(message, error)

    def _reject(self, message: Message, error: Exception) -> None:
        if isinstance(error, BadMessage):
            reason, detail = error.reason, error.detail
        else:
            reason = PROCESSOR_ERROR
            detail = type(error).__name__
            self.tally.processor_errors[detail] += 1
            if self.tally.processor_errors[detail] == 1:
                log.error("processor=failed topic=%s offset=%d", message.topic, message.offset, exc_info=error)
        self.tally.dead_letters[message.topic, reason] += 1
        letter = DeadLetter(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            reason=reason,
            detail=detail,
            body=message.value or b"",
        )
        key = f"{message.topic}-{message.partition}".encode()
        self._outbox.put(Parcel(DEAD_LETTER, key, format_dead_letter(letter)))

    def _rewind(self, partition: Partition, message: Message) -> None:
        expected = partition.next_offset
        if partition.rewinding or expected is None or self._kafka.rewind is None:
            return
        partition.rewinding = True
        self.tally.offset_gaps += 1
        log.warning("offset_gap partition=%d expected=%d got=%d", partition.partition, expected, message.offset)
        self._kafka.rewind(partition.partition, expected)

    def _publish(self, result: object) -> None:
        if isinstance(result, WindowRow):
            body = orjson.dumps(window_message(result))
            self._outbox.put(Parcel(WINDOWS, result.service.encode(), body))
        elif isinstance(result, AnyEpisode):
            message = episode_message(result)
            self._outbox.put(Parcel(EPISODES, result.service.encode(), orjson.dumps(message)))
            log.info("%s=%s service=%s onset_us=%d", message["kind"], result.state, result.service, result.onset)

    def hears(self, service: str) -> bool:
        """True unless all agents of ``service`` have been silent for ``SILENT_S``: its gauges would be old news.

        Live agents send at least a heartbeat a second. Counters stay: they are true for ever.
        """
        return self._clock() - self._heard_s.get(service, float("-inf")) < SILENT_S

    # -- snapshots

    async def snapshot(self) -> None:
        """Make everything applied so far safe. While Kafka is away, everything stays for the next round."""
        started_s = self._clock()
        cuts = [(p, cut) for p in self.partitions.values() if (cut := p.snapshot()) is not None]
        if not cuts:
            return
        landed = False
        try:
            await self._outbox.delivered()
            await self._kafka.write([(p.partition, k, body) for p, cut in cuts for k, body in cut.bodies.items()])
            await self._kafka.write([(p.partition, cut.record_key, cut.record) for p, cut in cuts])
            landed = True
        except self._kafka.errors as error:
            log.warning("snapshot=failed reason=%s retry=next_round", type(error).__name__)
        finally:
            self._settle(cuts, landed=landed, took_s=self._clock() - started_s)
        owned = {p.partition: cut.offset + 1 for p, cut in cuts if self.partitions.get(p.partition) is p}
        if landed and owned:
            await self._kafka.commit(owned)

    def _settle(self, cuts: Sequence[Cut], *, landed: bool, took_s: float) -> None:
        for partition, cut in cuts:
            partition.landed(cut) if landed else partition.failed(cut)
        self.tally.undelivered = self._outbox.refused
        if not landed:
            self.tally.snapshot_failures += 1
            return
        self.tally.snapshots += 1
        self.tally.snapshot_bytes = sum(len(body) for _, cut in cuts for body in cut.bodies.values())
        self.tally.snapshot_duration_s = took_s

    # -- ownership

    def own(self, number: int, changelog: Mapping[bytes, bytes]) -> None:
        """Take over a partition as the changelog holds it."""
        state = self.partitions[number] = restore(number, changelog, self._kit)
        self._heard_s.update(dict.fromkeys(state.services, self._clock()))
        self.tally.broken_snapshots += len(state.broken)
        facts = (number, len(state.services), state.next_offset, len(state.broken))
        log.info("partition=%d owned=true services=%d next_offset=%s broken=%d", *facts)

    def disown(self, number: int) -> None:
        """Forget a partition another worker may own from now on."""
        if (state := self.partitions.pop(number, None)) is not None:
            for name in state.services:
                self._heard_s.pop(name, None)
            log.info("partition=%d owned=false", number)

    def log_resumes_at(self, number: int, offset: int) -> None:
        """Take note that the log holds nothing before ``offset``; what was still needed is counted as lost."""
        if (state := self.partitions.get(number)) and (lost := state.log_resumes_at(offset)):
            self.tally.lost_messages += lost
            log.warning("partition=%d lost_messages=%d resumes_at=%d", number, lost, offset)

    def log_was_replaced(self, number: int) -> None:
        """Start over with a log that ends before what was applied."""
        if state := self.partitions.get(number):
            log.warning("partition=%d log=replaced expected_offset=%s", number, state.next_offset)
            state.log_was_replaced()

    def rewound(self, number: int) -> None:
        """Allow the partition's next rewind."""
        if state := self.partitions.get(number):
            state.rewinding = False
