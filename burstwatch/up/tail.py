"""Reads llm.episodes as they come and asks for end offsets: the front door's only Kafka client."""

import json
import threading
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from collector.schema.errors import OperatorError
from collector.schema.topics import EPISODES


def require_broker(bootstrap_servers: str, timeout_ms: int = 5000) -> None:
    """Return if a Kafka broker answers. Raises ``OperatorError`` naming the address if none does."""
    try:
        KafkaConsumer(bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=timeout_ms).close()
    except (KafkaError, OSError, ValueError) as error:
        raise OperatorError(
            f"no Kafka broker answers at {bootstrap_servers} ({type(error).__name__}); "
            "check the address, or leave --kafka out to use the embedded broker"
        ) from None


def end_offsets(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return partition -> next offset to be written; empty if the topic does not exist."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        ends: dict[TopicPartition, int] = consumer.end_offsets(partitions) if partitions else {}
        return {tp.partition: offset for tp, offset in ends.items()}
    finally:
        consumer.close()


class EpisodeTail:
    """Calls ``on_episode`` with each new episode message, from a thread of its own, until ``stop``."""

    def __init__(self, bootstrap_servers: str, on_episode: Callable[[dict[str, Any]], None]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._on_episode = on_episode
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin at the topic's present end."""
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
                self._stopped.wait(1)  # the broker is away; the summary goes on without episodes meanwhile

    def _consume(self) -> None:
        consumer = KafkaConsumer(
            EPISODES,
            bootstrap_servers=self._bootstrap_servers,
            auto_offset_reset="latest",
            reconnect_backoff_max_ms=1000,
        )
        try:
            while not self._stopped.is_set():
                for records in consumer.poll(timeout_ms=300).values():
                    for record in records:
                        self._pass_on(record.value)
        finally:
            consumer.close()

    def _pass_on(self, value: bytes | None) -> None:
        try:
            episode = json.loads(value or b"")
        except ValueError:
            return
        if isinstance(episode, dict):
            self._on_episode(episode)
