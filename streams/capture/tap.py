"""Kafka, as capture reads it: every partition of one topic, by kafka-python. See also consumer.py.

Partitions are assigned, not shared out in a group: one folder wants all of them, files say where to go on, and a
restart need not wait for a dead member's session to expire. The group only keeps the offsets that lag is read from,
unless a new folder is told to go on where it stands.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from collector.schema.errors import OperatorError
from streams.capture.consumer import open_consumer
from streams.capture.recorder import Lost

_log = logging.getLogger(__name__)

_ASK_MS = 10_000
_POLL_MS = 250
_ENDS_MS = 3000
_DISCOVER_S = 5.0


def connect(bootstrap: str, group: str) -> KafkaConsumer:
    """Return a consumer that has reached a broker. Raises ``OperatorError`` if none answers in 10 s."""
    try:
        return open_consumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            client_id="burstwatch-capture",
            enable_auto_commit=False,
            auto_offset_reset="none",  # a gap must be seen and told, never jumped over
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=_ASK_MS,
            reconnect_backoff_max_ms=1000,
            metadata_max_age_ms=30_000,  # new partitions are found within this time
            max_poll_records=500,
        )
    except (KafkaError, ValueError, OSError) as error:
        raise OperatorError(
            f"no Kafka broker answers at {bootstrap} ({type(error).__name__}); "
            "start one (burstwatch broker) or correct --kafka HOST:PORT"
        ) from None


class KafkaLog:
    """One topic; see ``recorder.Log`` for what its methods promise.

    A partition of which the folder has nothing is read from the oldest message Kafka keeps, so that a folder has no
    silent beginning; ``from_group`` is for going on where the group stands, its older files being elsewhere.
    """

    def __init__(self, consumer: KafkaConsumer, topic: str, *, from_group: bool = False) -> None:
        self._from_group = from_group
        self._consumer = consumer
        self._topic = topic
        self._assigned: set[TopicPartition] = set()
        self._look_again = 0.0
        self._waiting_told = False

    def discover(self, known: Mapping[int, int]) -> dict[int, int]:
        """See ``Log``. A topic that does not exist yet is waited for."""
        if time.monotonic() < self._look_again:
            return {}
        try:
            found = {TopicPartition(self._topic, p) for p in self._consumer.partitions_for_topic(self._topic)}
            new = found - self._assigned
            starts = {tp.partition: self._start(tp, known) for tp in new}
        except KafkaError as error:
            self._trouble(error)
            return {}
        self._look_again = time.monotonic() + (_DISCOVER_S if found else 0.5)
        if not found and not self._waiting_told:
            _log.info('event=waiting topic=%s note="it does not exist yet; an agent creates it"', self._topic)
            self._waiting_told = True
        if new:
            self._assigned |= new
            self._consumer.assign(sorted(self._assigned))
            for partition, offset in starts.items():
                self.seek(partition, offset)
            _log.info("event=reading topic=%s next_offsets=%s", self._topic, dict(sorted(starts.items())))
        return starts

    def group_offsets(self, known: Mapping[int, int]) -> dict[int, int]:
        """Return where the group stands in partitions not ``known`` to the folder, beyond their oldest message.

        Somebody else has captured them under this group. Empty if Kafka does not say.
        """
        found: dict[int, int] = {}
        try:
            for partition in sorted(self._consumer.partitions_for_topic(self._topic) or ()):
                tp = TopicPartition(self._topic, partition)
                if partition not in known and (committed := self._consumer.committed(tp, timeout_ms=_ASK_MS)):
                    oldest = int(self._consumer.beginning_offsets([tp], timeout_ms=_ASK_MS)[tp])
                    found |= {partition: committed} if committed > oldest else {}
        except KafkaError as error:
            self._trouble(error)
        return found

    def poll(self) -> dict[int, list[tuple[int, bytes]]]:
        """See ``Log``. Kafka's troubles are logged and waited out."""
        try:
            try:
                polled = self._consumer.poll(timeout_ms=_POLL_MS)
            except OffsetOutOfRangeError as error:
                self._raise_lost(error)
                return {}
        except KafkaError as error:
            self._trouble(error)
            return {}
        return {
            tp.partition: [(record.offset, record.value or b"") for record in records] for tp, records in polled.items()
        }

    def seek(self, partition: int, offset: int) -> None:
        """See ``Log``."""
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def ends(self) -> dict[int, int]:
        """Return the offset after the newest message of each partition; empty if Kafka does not answer."""
        if not self._assigned:
            return {}
        try:
            ends = self._consumer.end_offsets(list(self._assigned), timeout_ms=_ENDS_MS)
        except KafkaError as error:
            self._trouble(error)
            return {}
        return {tp.partition: offset for tp, offset in ends.items()}

    def behind(self, ends: Mapping[int, int]) -> bool:
        """See ``Log``."""
        return any(
            (self._consumer.position(TopicPartition(self._topic, partition), timeout_ms=1000) or 0) < end
            for partition, end in ends.items()
        )

    def commit(self, offsets: Mapping[int, int]) -> bool:
        """See ``Log``."""
        wanted = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        try:
            self._consumer.commit(wanted, timeout_ms=3000)
        except KafkaError as error:
            _log.warning('event=commit_later error="%s" note="files decide at a restart, not this"', error)
            return False
        return True

    def close(self) -> None:
        """Leave Kafka; no error if it is away."""
        try:
            self._consumer.close(autocommit=False, timeout_ms=2000)
        except KafkaError as error:
            self._trouble(error)

    def _start(self, tp: TopicPartition, known: Mapping[int, int]) -> int:
        first = int(self._consumer.beginning_offsets([tp], timeout_ms=_ASK_MS)[tp])
        end = int(self._consumer.end_offsets([tp], timeout_ms=_ASK_MS)[tp])
        if tp.partition in known:
            if known[tp.partition] > end:
                raise OperatorError(self._recreated(tp.partition, known[tp.partition], end))
            return known[tp.partition]
        if not self._from_group:
            return first
        committed = self._consumer.committed(tp, timeout_ms=_ASK_MS)
        return committed if committed is not None and first <= committed <= end else first

    def _raise_lost(self, error: OffsetOutOfRangeError) -> None:
        for tp, wanted in error.args[0].items():
            first = int(self._consumer.beginning_offsets([tp], timeout_ms=_ASK_MS)[tp])
            if wanted >= first:
                end = int(self._consumer.end_offsets([tp], timeout_ms=_ASK_MS)[tp])
                raise OperatorError(self._recreated(tp.partition, wanted, end))
            raise Lost(tp.partition, wanted, first)

    def _recreated(self, partition: int, wanted: int, end: int) -> str:
        return (
            f"{self._topic} partition {partition} ends at offset {end}, but the captured files go on at "
            f"{wanted}: the topic was made anew since. Capture it into an empty --out folder"
        )

    def _trouble(self, error: KafkaError) -> None:
        _log.warning('event=kafka_trouble error="%s: %s"', type(error).__name__, error)
        time.sleep(0.5)


class KafkaEnds:
    """Where a topic ends, for whoever wants to know how far behind the recording is.

    It asks with a consumer of its own, which another thread than the recording one may do, and waits without it.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._consumer: KafkaConsumer | None = None

    def ask(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset after the newest message of each partition; empty if Kafka does not answer in seconds."""
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        if not wanted:
            return {}
        try:
            if self._consumer is None:
                self._consumer = open_consumer(
                    bootstrap_servers=self._bootstrap,
                    client_id="burstwatch-capture-lag",
                    enable_auto_commit=False,
                    allow_auto_create_topics=False,
                    bootstrap_timeout_ms=_ENDS_MS,
                    reconnect_backoff_max_ms=1000,
                )
            ends = self._consumer.end_offsets(wanted, timeout_ms=_ENDS_MS)
        except (KafkaError, OSError):  # the recording thread logs it
            return {}
        return {tp.partition: offset for tp, offset in ends.items()}

    def close(self) -> None:
        """Leave Kafka; no error if it is away."""
        if self._consumer is not None:
            with suppress(KafkaError, OSError):
                self._consumer.close(timeout_ms=500)
