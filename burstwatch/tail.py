"""Reads result topics as they grow, and asks for offsets: the front door's only Kafka client."""

import json
import logging
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from burstwatch.wording import MALFORMED
from collector.schema.errors import OperatorError
from streams.capture.consumer import open_consumer

log = logging.getLogger(__name__)

_POLL_MS = 300
_SILENT_S = 15.0
_ANSWER_MS = 5000
_LOOK_S = 3.0
HISTORY_MOST = 20_000  # messages a partition


def require_broker(bootstrap_servers: str, timeout_ms: int = 5000) -> None:
    """Return if a Kafka broker answers. Raises ``OperatorError`` naming the address if none does, or if it is none."""
    for address in bootstrap_servers.split(","):
        port = re.fullmatch(r"(?:\[[^]\s]+\]|[^:/\s]+):([0-9]{1,5})", address.strip())
        if not port or not 0 < int(port[1]) < 65536:
            raise OperatorError(
                f"{address.strip() or 'nothing'} is no address of a Kafka broker; HOST:PORT is wanted, such as "
                "127.0.0.1:9092 (several separated by commas)"
            )
    try:
        open_consumer(bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=timeout_ms).close()
    except (KafkaError, OSError, ValueError) as error:
        raise OperatorError(
            f"no Kafka broker answers at {bootstrap_servers} ({type(error).__name__}); "
            "check the address, or start one (`burstwatch broker`)"
        ) from None


def end_offsets(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return partition -> next offset to be written; empty if the topic does not exist."""
    consumer = open_consumer(bootstrap_servers=bootstrap_servers)
    try:
        ends: dict[TopicPartition, int] = _ends(consumer, [topic])
        return {tp.partition: offset for tp, offset in ends.items()}
    finally:
        consumer.close()


def newest(bootstrap_servers: str, topics: Sequence[str], most: int) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects among the last ``most`` messages of each partition, then stop.

    Raises ``OperatorError`` if Kafka goes away meanwhile.
    """
    consumer = open_consumer(bootstrap_servers=bootstrap_servers, reconnect_backoff_max_ms=1000)
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
            found = _decoded(record.value)
            if isinstance(found, dict):
                yield found


def _decoded(value: bytes | None) -> Any:  # noqa: ANN401 - whatever JSON there is
    try:
        return json.loads(value or b"")
    except (ValueError, RecursionError):
        return None


class _Reader(ABC):
    """A thread of its own that reads, from ``start`` until ``stop``."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Safe to call twice."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)

    @abstractmethod
    def _run(self) -> None: ...


class TopicTail(_Reader):
    """Calls ``on_message`` with each new JSON object of ``topics``, beginning at the topics' ends at ``start``."""

    def __init__(
        self, bootstrap_servers: str, topics: Sequence[str], on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__()
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._on_message = on_message

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._consume()
            except KafkaError:
                self._stopped.wait(1)  # the broker is away: what is shown goes on with what is known

    def _consume(self) -> None:
        consumer = open_consumer(
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


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How far back a ``TopicFollower`` begins: the last ``seconds`` of append time.

    But ``least`` messages a partition even if they are older (a recording that was played yesterday), and never more
    than ``most``.
    """

    seconds: float
    least: int = 2_000
    most: int = HISTORY_MOST


class TopicFollower(_Reader):
    """Reads topics from some way back and goes on with what comes, from a thread of its own, until ``stop``.

    One consumer reads history and news, and where it is outlives that consumer: there is no hole between the two,
    nor over a time without Kafka. A message may come twice. What is no JSON comes as None.

    Attributes:
        on_messages: called with each batch; the next is read when it returns.
        on_kafka: called with whether Kafka answers and whether all history has been read, when either changes.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        history: History,
        *,
        on_messages: Callable[[list[Any]], None],
        on_kafka: Callable[[bool, bool], None],
    ) -> None:
        super().__init__()
        self._bootstrap_servers = bootstrap_servers
        self._topics = list(topics)
        self._history = history
        self._on_messages = on_messages
        self._on_kafka = on_kafka
        self._positions: dict[TopicPartition, int] = {}
        self._history_ends: dict[TopicPartition, int] = {}
        self._told: tuple[bool, bool] | None = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._consume()
            except (KafkaError, OSError, ValueError):
                self._tell(answers=False)
                self._stopped.wait(1)
            except Exception:
                # Whatever it is, a thread that ended would leave a page that goes on as if it were live.
                log.exception("reading Kafka failed; trying again")
                self._tell(answers=False)
                self._stopped.wait(1)

    def _tell(self, *, answers: bool) -> None:
        caught_up = all(self._positions.get(tp, 0) >= end for tp, end in self._history_ends.items())
        if self._told != (answers, caught_up):
            self._told = (answers, caught_up)
            self._on_kafka(answers, caught_up)

    def _consume(self) -> None:
        consumer = open_consumer(
            bootstrap_servers=self._bootstrap_servers,
            bootstrap_timeout_ms=_ANSWER_MS,
            auto_offset_reset="earliest",  # where we were is no more: the topic was emptied, or made anew
            enable_auto_commit=False,
            reconnect_backoff_max_ms=1000,
            metadata_max_age_ms=10_000,
        )
        try:
            looked_s = 0.0
            while not self._stopped.is_set():
                if time.monotonic() - looked_s > _LOOK_S:  # poll never says that nobody answers: ask
                    self._assign(consumer)
                    looked_s = time.monotonic()
                self._take(consumer)
                self._tell(answers=True)
        finally:
            consumer.close(timeout_ms=1000)

    def _assign(self, consumer: KafkaConsumer) -> None:
        """Read all partitions there are now, each from where we were or from the start of its history.

        Raises ``KafkaError`` if nobody answers.
        """
        partitions = [
            TopicPartition(topic, p) for topic in self._topics for p in consumer.partitions_for_topic(topic) or ()
        ]
        ends = consumer.end_offsets(partitions, timeout_ms=_ANSWER_MS) if partitions else {}
        # Where we were may be beyond the end: the topic was made anew.
        fresh = [tp for tp in partitions if self._positions.get(tp, ends[tp] + 1) > ends[tp]]
        if fresh:
            self._positions.update(self._starts(consumer, fresh, ends))
            self._history_ends.update({tp: ends[tp] for tp in fresh})
        if consumer.assignment() != set(partitions):
            consumer.assign(partitions)
            fresh = partitions
        for tp in fresh:
            consumer.seek(tp, self._positions[tp])

    def _starts(
        self, consumer: KafkaConsumer, partitions: list[TopicPartition], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        since_ms = max(0, int((time.time() - self._history.seconds) * 1000))
        first = consumer.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
        by_time = consumer.offsets_for_times(dict.fromkeys(partitions, since_ms), timeout_ms=_ANSWER_MS)
        starts = {}
        for tp in partitions:
            found = by_time.get(tp)
            start = min(found.offset if found else ends[tp], ends[tp] - self._history.least)
            starts[tp] = max(first[tp], start, ends[tp] - self._history.most)
        return starts

    def _take(self, consumer: KafkaConsumer) -> None:
        if not consumer.assignment():
            self._stopped.wait(_POLL_MS / 1000)
            return
        found = consumer.poll(timeout_ms=_POLL_MS)
        if found:
            self._on_messages([_decoded(record.value) for records in found.values() for record in records])
        for tp, records in found.items():
            self._positions[tp] = records[-1].offset + 1
