"""The replay's events to Kafka, in a thread of its own (the only kafka import of the workload).

A replay is there to measure: Kafka being slow or away must not move a single request. So the thread does all the
talking, what it cannot deliver in the end is counted, and the count is in the summary.
"""

import asyncio
import contextlib
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka import errors as kafka_errors

from collector.schema.codec import CONTENT_TYPES, MESSAGE_BYTES_MAX, Encoding
from collector.schema.errors import OperatorError
from collector.schema.events import SCHEMA_VERSION
from collector.schema.topics import DEFAULT_PARTITIONS, TOPICS
from workload.replay.events import EventStream, Identity, Message

log = logging.getLogger(__name__)

FLUSH_S = 1.0
TIMEOUT_MS = 5_000
CLOSE_S = 10.0
_HEADERS = [("schema", str(SCHEMA_VERSION).encode()), ("content-type", CONTENT_TYPES[Encoding.BINARY].encode())]


class KafkaEvents:
    """Sends what ``stream`` gathers once a second. Raises ``OperatorError`` if no broker answers at ``servers``."""

    def __init__(self, servers: str, service: str) -> None:
        offset_us = time.time_ns() // 1000 - round(time.perf_counter() * 1e6)
        node = socket.gethostname().split(".")[0] or "replay"
        self.stream = EventStream(
            Identity(agent=f"replay-{node}"[:64], boot=secrets.token_hex(8), service=service, node=node[:64]),
            lambda at_s: offset_us + round(at_s * 1e6),
        )
        self.told = self.sent = 0  # events given to Kafka, and those of them it has taken
        logging.getLogger("kafka").setLevel(logging.WARNING)  # it tells each connection at INFO
        self._servers = servers.split(",")
        self._queue: queue.Queue[Message | None] = queue.Queue()
        try:
            self._ensure_topics()
            self._producer = KafkaProducer(
                bootstrap_servers=self._servers,
                client_id="burstwatch-replay",
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=20,
                max_request_size=MESSAGE_BYTES_MAX,
                bootstrap_timeout_ms=TIMEOUT_MS,
                max_block_ms=TIMEOUT_MS,
                metrics_enabled=False,
            )
        except (kafka_errors.KafkaError, OSError, ValueError) as error:
            raise OperatorError(
                f"cannot reach Kafka at --events-kafka {servers}: {type(error).__name__}; start it or correct HOST:PORT"
            ) from None
        self._thread = threading.Thread(target=self._run, name="kafka-events", daemon=True)
        self._thread.start()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Flush once a second inside the block, and the rest after it."""
        task = asyncio.create_task(self._flow())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._flush()

    async def _flow(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._flush()

    def _flush(self) -> None:
        for message in self.stream.flush(time.perf_counter()):
            self.told += message.n
            self._queue.put(message)

    def close(self) -> dict[str, int]:
        """Wait a while for what is on its way; return how many events arrived and how many did not."""
        self._queue.put(None)
        self._thread.join(CLOSE_S)
        lost = self.told - self.sent
        if lost:
            log.warning("event=kafka_events_lost n=%d", lost)
        return {"events": self.sent, "lost": lost}

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                future = self._producer.send(
                    message.topic, value=message.body, key=message.key.encode(), headers=_HEADERS
                )
            except (kafka_errors.KafkaError, OSError):
                continue
            future.add_callback(self._on_ack, message.n)
        with contextlib.suppress(kafka_errors.KafkaError, OSError):
            self._producer.flush(timeout=CLOSE_S)
        with contextlib.suppress(kafka_errors.KafkaError, OSError):
            self._producer.close(timeout=1)

    def _on_ack(self, n: int, _: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        self.sent += n

    def _ensure_topics(self) -> None:
        admin = KafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=TIMEOUT_MS, bootstrap_timeout_ms=TIMEOUT_MS
        )
        try:
            known = set(admin.list_topics())
            missing = {
                topic.name: {"num_partitions": DEFAULT_PARTITIONS, "replication_factor": 1, "configs": topic.configs}
                for topic in TOPICS
                if topic.name not in known
            }
            if missing:
                admin.create_topics(missing)
        except kafka_errors.TopicAlreadyExistsError:
            pass  # somebody else was faster
        finally:
            admin.close()
