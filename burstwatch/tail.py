"""Reads result topics as they grow, and asks for offsets: the front door's only Kafka client."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from burstwatch.wording import MALFORMED
from collector.schema.errors import OperatorError

_POLL_MS = 300
_SILENT_S = 15.0


def require_broker(bootstrap_servers: str, timeout_ms: int = 5000) -> None:
    """Return if a Kafka broker answers. Raises ``OperatorError`` naming the address if none does."""
    try:
        KafkaConsumer(bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=timeout_ms).close()
    except (KafkaError, OSError, ValueError) as error:
        raise OperatorError(
            f"no Kafka broker answers at {bootstrap_servers} ({type(error).__name__}); "
            "check the address, or start one (`burstwatch broker`)"
        ) from None


def end_offsets(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return partition -> next offset to be written; empty if the topic does not exist."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        ends: dict[TopicPartition, int] = _ends(consumer, [topic])
        return {tp.partition: offset for tp, offset in ends.items()}
    finally:
        consumer.close()


def newest(bootstrap_servers: str, topics: Sequence[str], most: int) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects among the last ``most`` messages of each partition, then stop.

    Raises ``OperatorError`` if Kafka goes away meanwhile.
    """
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, reconnect_backoff_max_ms=1000)
    try:
        ends = {tp: end for tp, end in _ends(consumer, topics).items() if end}
        consumer.assign(list(ends))
        first = consumer.beginning_offsets(list(ends)) if ends else {}
        for tp, end in ends.items():
            consumer.seek(tp, max(first[tp], end - most))
        heard_s = time.monotonic()
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for found in _objects(consumer):
                heard_s = time.monotonic()
                yield found
            if time.monotonic() - heard_s > _SILENT_S:  # poll never says that nobody answers
                raise OperatorError(f"Kafka at {bootstrap_servers} stopped answering (nothing for {_SILENT_S:g} s)")
    except KafkaError as error:
        raise OperatorError(f"Kafka at {bootstrap_servers} stopped answering ({type(error).__name__})") from None
    finally:
        consumer.close()


def _ends(consumer: KafkaConsumer, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = [TopicPartition(topic, p) for topic in topics for p in consumer.partitions_for_topic(topic) or ()]
    ends: dict[TopicPartition, int] = consumer.end_offsets(partitions) if partitions else {}
    return ends


def _objects(consumer: KafkaConsumer) -> Iterator[dict[str, Any]]:
    for records in consumer.poll(timeout_ms=_POLL_MS).values():
        for record in records:
            try:
                found = json.loads(record.value or b"")
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


class TopicTail:
    """Calls ``on_message`` with each new JSON object of ``topics``, from a thread of its own, until ``stop``."""

    def __init__(
        self, bootstrap_servers: str, topics: Sequence[str], on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._on_message = on_message
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin at the topics' present ends."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Safe to call twice."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._consume()
            except KafkaError:
                self._stopped.wait(1)  # the broker is away: what is shown goes on with what is known

    def _consume(self) -> None:
        consumer = KafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap_servers,
            auto_offset_reset="latest",
            reconnect_backoff_max_ms=1000,
        )
        try:
            while not self._stopped.is_set():
                for message in _objects(consumer):
                    with suppress(*MALFORMED):
                        self._on_message(message)
        finally:
            consumer.close()
