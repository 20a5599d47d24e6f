"""All Faust wiring: topics, two agents, one table. What happens to a message is decided in flow.py.

Changed from plain Faust, with the reason: the commit goes out by itself after each snapshot instead of by
acking held events. Held events would keep a second's raw messages in memory (about 100 MB at full rate).
"""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from collector.schema.codec import MESSAGE_BYTES_MAX
from collector.schema.topics import DEAD_LETTER, EPISODES, REQUESTS, RESOURCES, WINDOWS
from streams.config import WorkerSettings
from streams.worker.edge import Entry, Kafka
from streams.worker.faust_consumer import StatefulConsumer, StatefulTransport
from streams.worker.faust_recovery import OrderedTables
from streams.worker.flow import Flow
from streams.worker.outbox import Parcel

TABLE = "state"
SNAPSHOT_SHARE = 10  # a snapshot round may take a tenth of the time
SNAPSHOT_REST_MAX_S = 5.0  # but a round that waited out a broker's absence must not be paid for with minutes


@dataclass(frozen=True, slots=True)
class Guards:
    """What protects against Faust's losses. Only the test that shows the losses switches them off."""

    seek_first: bool = True
    contiguity: bool = True


class StreamWorker:
    """The Faust application around a ``Flow``.

    Attributes:
        app: the Faust app; start and stop it from a running event loop.
        flow: the state and what happens to messages.
    """

    def __init__(self, settings: WorkerSettings, partitions: int, guards: Guards | None = None) -> None:
        guards = guards or Guards()
        self.settings = settings
        self.app = _new_app(settings, guards)
        kafka = Kafka(
            send=self._send,
            write=self._write,
            commit=self._commit,
            rewind=self._rewind if guards.contiguity else None,
            errors=KafkaError,
            end=self._end,
        )
        self.flow = Flow(settings.analysis, kafka, time.monotonic, services_max=settings.services_max)
        if guards.seek_first or guards.contiguity:
            self.app.transport = StatefulTransport(self.app.conf.broker_consumer, self.app, self)
        self._revocations = 0
        self._topics = {name: self._topic(name) for name in (REQUESTS, RESOURCES, WINDOWS, EPISODES, DEAD_LETTER)}
        self._table = self.app.Table(
            TABLE, key_type=bytes, value_type=bytes, partitions=partitions, on_recover=self._on_recovered
        )
        self.app.agent(self._topics[REQUESTS], name="requests")(self._requests)
        self.app.agent(self._topics[RESOURCES], name="resources")(self._resources)
        self.app.on_partitions_revoked.connect(self._on_revoked, weak=False)

    def _topic(self, name: str) -> Any:  # noqa: ANN401 - faust's Topic
        return self.app.topic(
            name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,  # a tombstone is ours to judge; Faust would throw it into the agent
        )

    async def _requests(self, stream: Any) -> None:  # noqa: ANN401 - faust's Stream
        async for event in stream.noack().events():
            await self.flow.on_request(event.message)

    async def _resources(self, stream: Any) -> None:  # noqa: ANN401 - faust's Stream
        async for event in stream.events():
            self.flow.on_resource(event.message)

    async def keep_snapshotting(self) -> None:
        """Snapshot for ever, every ``snapshot_interval_s``, or less often if it takes more than a tenth of it."""
        while True:
            started_s = time.monotonic()
            await self.flow.snapshot()
            took_s = time.monotonic() - started_s
            share_s = min(took_s * (SNAPSHOT_SHARE - 1), SNAPSHOT_REST_MAX_S)
            rest_s = max(self.settings.snapshot_interval_s - took_s, share_s)
            await asyncio.sleep(max(rest_s, 0.01))

    # -- what the flow may do to Kafka

    def _send(self, parcel: Parcel) -> Awaitable[Any]:
        future: Awaitable[Any] = self._topics[parcel.topic].send_soon(key=parcel.key, value=parcel.value)
        return future

    async def _write(self, entries: Sequence[Entry]) -> None:
        sent = [self._table.send_changelog(p, key, body) for p, key, body in entries]
        if sent:
            await asyncio.wait(sent)  # gather would cancel Faust's futures with us, and Faust would complain
        for future in sent:
            future.result()

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        wanted = {TP(REQUESTS, number): offset for number, offset in offsets.items()}
        await self.app.consumer._commit(wanted)  # noqa: SLF001 - the public one commits Faust's own offsets

    def _rewind(self, number: int, offset: int) -> None:
        self.app.consumer.rewind(TP(REQUESTS, number), offset)

    def _end(self, topic: str, number: int) -> int | None:
        consumer = self.app.consumer
        return consumer.known_end(TP(topic, number)) if isinstance(consumer, StatefulConsumer) else None

    # -- ownership

    async def _on_recovered(self) -> None:
        """Take over the partitions this worker now owns, from the changelog just read."""
        changelog: Mapping[bytes, bytes] = self._table.data.data
        revocations = self._revocations
        for tp in self.app.consumer.assignment():
            if revocations != self._revocations:
                return  # taken away in one of the pauses below: the next recovery says what is ours
            if tp.topic == REQUESTS:
                self.flow.own(tp.partition, changelog)
                await asyncio.sleep(0)  # a thousand services take seconds: /metrics and the heartbeat in between

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_kwargs: Any) -> None:  # noqa: ANN401 - faust's
        self._revocations += bool(revoked)
        for tp in revoked:
            if tp.topic == REQUESTS:
                self.flow.disown(tp.partition)
            elif tp.topic == RESOURCES:
                self.flow.disown_resources(tp.partition)

    # -- Positions, for the consumer

    def wanted(self) -> Mapping[TP, int | None]:
        """Return where reading of each owned partition must start."""
        return {TP(REQUESTS, number): state.next_offset for number, state in self.flow.partitions.items()}

    def log_resumes_at(self, tp: TP, offset: int) -> None:
        """Pass on what the log no longer holds."""
        self.flow.log_resumes_at(tp.partition, offset)

    def log_was_replaced(self, tp: TP) -> None:
        """Pass on that the log is a new one."""
        self.flow.log_was_replaced(tp.partition)

    def moved(self, tp: TP) -> None:
        """Pass on that a rewind was carried out."""
        self.flow.rewound(tp.partition)


def _new_app(settings: WorkerSettings, guards: Guards) -> Any:  # noqa: ANN401 - faust is untyped here
    return faust.App(
        settings.app_id,
        broker=";".join(f"kafka://{server}" for server in settings.servers),
        store="memory://",
        datadir=settings.data_dir,
        web_enabled=False,
        autodiscover=False,
        processing_guarantee="at_least_once",
        topic_allow_declare=False,  # worker/topics.py made them, with the right partitions
        topic_disable_leader=True,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6.0,  # Kafka's least: after a kill -9 the next worker waits so long for the partitions
        broker_heartbeat_interval=1.5,
        broker_max_poll_records=100,
        consumer_max_fetch_size=4 << 20,
        stream_buffer_maxsize=32,  # messages are batches of up to a megabyte: few are enough, many fill the memory
        stream_recovery_delay=0.0,
        stream_wait_empty=False,  # messages are never acked in Faust's sense: it would wait for ever
        producer_linger=0.02,
        producer_max_batch_size=1 << 20,  # a batch a round trip: with 16 KB, two rows at a time went out
        producer_max_request_size=MESSAGE_BYTES_MAX + (1 << 20),
        **({"TableManager": OrderedTables} if guards.seek_first else {}),
    )
