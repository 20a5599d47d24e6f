"""What happens to each message, and how it is made safe. Everything Kafka comes in as a function: no Faust here.

How a result is exact although delivery is at-least-once and Faust loses track of offsets: every source message
is applied in offset order; a snapshot round waits until all results are in Kafka, writes the changed services'
snapshots, then the partitions' records, and only then commits. After any crash the state is some earlier point
of the same log, and applying the log from there gives the same rows again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import orjson

from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from collector.schema.topics import DEAD_LETTER, EPISODES, REQUESTS, RESOURCES, WINDOWS
from streams.config import SERVICES_MAX
from streams.export.samples import service_counters
from streams.export.tally import Tally
from streams.processors.clocks import Clocks
from streams.processors.episodes import AnyEpisode, episode_message
from streams.processors.outputs import WindowRow, window_message
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.snapshot import BadSnapshot
from streams.worker.edge import Kafka, Message, appended_at
from streams.worker.heard import LastHeard
from streams.worker.kit import ServiceKit
from streams.worker.outbox import Outbox, Parcel
from streams.worker.ownership import Admission, read_batch
from streams.worker.records import PROCESSOR_ERROR, DeadLetter, format_dead_letter
from streams.worker.resources import ResourceBoard
from streams.worker.restoring import restore
from streams.worker.rounds import Partition, Rounds

log = logging.getLogger(__name__)

RESULTS_AT_ONCE = 250  # then everybody else in the loop has a turn: some 30 ms

SILENT_S = 60.0


class Flow:
    """All state of one worker.

    Attributes:
        partitions: the partitions this worker owns.
        board: latest resource readings.
        tally: process counters.
        clocks: what the log's own time says of the agents' clocks; ``heard`` when each agent last spoke.
    """

    def __init__(
        self, settings: AnalysisSettings, kafka: Kafka, clock: Callable[[], float], *, services_max: int = SERVICES_MAX
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self.board = ResourceBoard()
        self.tally = Tally()
        self.clocks = Clocks()
        self.heard = LastHeard()
        self._kafka = kafka
        self._clock = clock
        self._outbox = Outbox(kafka.send)
        self._rounds = Rounds(self.partitions, self._outbox, kafka, self.tally, clock=clock)
        self._heard_s: dict[str, float] = {}  # by service; of owned partitions only
        self._resources_next: dict[int, int] = {}  # next offset by partition, of those something was read of
        self._kit = ServiceKit(
            fresh=lambda name, joined: ServiceState(name, settings, joined=joined),
            restore=lambda body: ServiceState.restore(body, settings),
            counters=service_counters,
            bad=BadSnapshot,
            services_max=services_max,
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
            found = partition.apply(message.offset, message.key, message.value, appended_at=appended_at(message))
            for count, result in enumerate(found, 1):
                self._publish(result)
                if count % RESULTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                    await self._outbox.room()
                    if self.partitions.get(message.partition) is not partition:
                        return  # taken away meanwhile: whoever has it now does the message again
        except Exception as error:  # noqa: BLE001 - an exception would leave the agent and lose the message
            self._reject(message, error)
        self._listen(partition, message)
        await self._outbox.room()

    def _listen(self, partition: Partition, message: Message) -> None:
        """Note who spoke and by which clock."""
        home = partition.roster.home((message.key or b"").decode(errors="replace"))
        if home in partition.services:  # never for a made-up key: what is remembered stays bounded
            self._heard_s[home] = self._clock()
        (agent, promised), at = partition.said, appended_at(message)
        if agent and at is not None:
            self.heard.hear((REQUESTS, message.partition), agent, at)
        if promised is not None and at is not None and (changed := self.clocks.hear(agent, promised, at)):
            level = logging.WARNING if changed.verdict == "ahead" else logging.INFO
            log.log(level, "agent=%s clock=%s least_delay_s=%.1f", agent, changed.verdict, changed.delay_us / 1e6)

    def on_resource(self, message: Message) -> None:
        """Take over a node's readings."""
        self.tally.messages[RESOURCES] += 1
        self._resources_next[message.partition] = message.offset + 1
        try:
            batch = read_batch(message.key, message.value, {Kind.RESOURCE})
            self.board.apply(message.partition, batch, self._clock())
            if (at := appended_at(message)) is not None:
                self.heard.hear((RESOURCES, message.partition), batch.agent, at)
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

    def lags(self) -> Iterator[tuple[str, int, int]]:
        """Return topic, partition and the number of messages that Kafka holds and that are not applied, where known."""
        wanted = [(REQUESTS, number, state.next_offset) for number, state in sorted(self.partitions.items())]
        wanted += [(RESOURCES, number, offset) for number, offset in sorted(self._resources_next.items())]
        for topic, number, offset in wanted:
            end = self._kafka.end(topic, number)
            if offset is not None and end is not None:
                yield topic, number, max(0, end - offset)

    # -- snapshots

    async def snapshot(self) -> None:
        """Make what was applied safe, or as much of it as a round takes (rounds.py)."""
        if len(self._heard_s) > sum(len(partition.services) for partition in self.partitions.values()):
            self._heard_s = {name: at_s for name, at_s in self._heard_s.items() if self.hears(name)}
        await self._rounds.run()

    async def save_all(self) -> None:
        """Take snapshots until nothing is left to be saved."""
        await self.snapshot()
        while any(partition.waiting for partition in self.partitions.values()):
            await self.snapshot()
            await asyncio.sleep(0)

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
            self.heard.drop((REQUESTS, number))
            log.info("partition=%d owned=false", number)

    def disown_resources(self, number: int) -> None:
        """Forget the nodes of a partition another worker may own from now on."""
        self.board.drop(number)
        self.heard.drop((RESOURCES, number))
        self._resources_next.pop(number, None)

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
