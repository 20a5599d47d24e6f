"""The data folder: its lock, the catalogue, and a log per partition. Everything here is on the event loop."""

import asyncio
import fcntl
import logging
import os
import re
import shutil
from pathlib import Path

from burstwatch.broker import compaction, topic_configs
from burstwatch.broker.catalogue import Catalogue
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.partition_log import PartitionLog
from collector.schema.errors import OperatorError

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")
_MOST_PARTITIONS = 1_000


class Store:
    """Opens (or creates) a data folder, for this process alone.

    Raises:
        OperatorError: the folder cannot be used, or another broker has it.
    """

    def __init__(self, folder: Path) -> None:
        self._topics_folder = folder / "topics"
        try:
            self._topics_folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
            self.catalogue = Catalogue(folder / "catalogue.jsonl")
            self._logs: dict[str, list[PartitionLog]] = {name: [] for name in self.catalogue.topics}
            for name in self._logs:
                self._open_logs(name)
        except (OSError, ValueError) as error:
            raise OperatorError(f"cannot use data folder {folder}: {error}; choose another --data") from error
        for leftover in self._topics_folder.iterdir():
            if leftover.name not in self._logs:  # a deletion that a crash cut short
                shutil.rmtree(leftover, ignore_errors=True)

    def topics(self) -> dict[str, list[PartitionLog]]:
        """Return the logs of each topic by name, in partition order."""
        return self._logs

    def log(self, topic: str, partition: int) -> PartitionLog:
        """Return one partition's log. Raises Refused (UNKNOWN_TOPIC_OR_PARTITION)."""
        logs = self._logs.get(topic, [])
        if not 0 <= partition < len(logs):
            raise Refused(Code.UNKNOWN_TOPIC_OR_PARTITION, f"no partition {topic[:249]}-{partition}")
        return logs[partition]

    def create_topic(self, name: str, partitions: int, configs: dict[str, str], *, dry_run: bool) -> None:
        """Create a topic. Raises Refused if Kafka would refuse it."""
        if not _NAME.fullmatch(name):
            raise Refused(Code.INVALID_TOPIC, "a topic's name is 1 to 249 of a-z A-Z 0-9 . _ -")
        if name in self._logs:
            raise Refused(Code.TOPIC_ALREADY_EXISTS, f"topic {name} exists")
        if not 1 <= partitions <= _MOST_PARTITIONS:
            raise Refused(Code.INVALID_PARTITIONS, f"a topic has 1 to {_MOST_PARTITIONS} partitions")
        topic_configs.parse(configs)
        if not dry_run:
            self.catalogue.set_topic(name, partitions, configs)
            self._logs[name] = []
            self._open_logs(name)

    def add_partitions(self, name: str, partitions: int, *, dry_run: bool) -> None:
        """Give a topic more partitions. Raises Refused if Kafka would refuse it."""
        logs = self._of(name)
        if not len(logs) < partitions <= _MOST_PARTITIONS:
            raise Refused(Code.INVALID_PARTITIONS, f"topic {name} has {len(logs)} partitions")
        if not dry_run:
            self.catalogue.set_topic(name, partitions, self.catalogue.topics[name].configs)
            self._open_logs(name)

    def set_configs(self, name: str, configs: dict[str, str], *, dry_run: bool) -> None:
        """Replace a topic's own configs. Raises Refused if one is unknown or wrong."""
        logs = self._of(name)
        parsed = topic_configs.parse(configs)
        if not dry_run:
            self.catalogue.set_topic(name, len(logs), configs)
            for partition_log in logs:
                partition_log.configs = parsed

    def delete_topic(self, name: str) -> None:
        """Delete a topic and its records. Raises Refused if there is none."""
        self._of(name)
        self.catalogue.delete_topic(name)
        for partition_log in self._logs.pop(name):
            partition_log.close()
            partition_log.wake()
        shutil.rmtree(self._topics_folder / name, ignore_errors=True)

    def set_start(self, topic: str, partition: int, offset: int) -> None:
        """Delete the records below an offset."""
        partition_log = self.log(topic, partition)
        if offset > partition_log.start:
            self.catalogue.set_start(topic, partition, offset)
            partition_log.drop_before(offset)

    async def maintain(self, now_ms: int, *, live_groups: set[str], with_retention: bool) -> None:
        """Compact, expire if asked to, and shorten the journal. A fault in one log spares the others."""
        self.catalogue.tidy(now_ms, live_groups)
        for topic, logs in list(self._logs.items()):
            for partition, partition_log in enumerate(logs):
                try:
                    if with_retention and self._logs.get(topic) is logs:
                        self.set_start(topic, partition, partition_log.expired(now_ms))
                    if self._logs.get(topic) is logs and compaction.is_due(partition_log):
                        await self._compact(topic, partition_log, now_ms)
                except OSError as error:
                    log.warning("event=maintenance_failed topic=%s error=%s", topic, error)

    def close(self) -> None:
        """Close every file and give up the lock."""
        for logs in self._logs.values():
            for partition_log in logs:
                partition_log.close()
        self.catalogue.close()
        os.close(self._lock)

    def _of(self, name: str) -> list[PartitionLog]:
        self.log(name, 0)
        return self._logs[name]

    async def _compact(self, topic: str, partition_log: PartitionLog, now_ms: int) -> None:
        segments, cleaned_to = list(partition_log.segments), partition_log.segments[-1].base
        oldest = now_ms - partition_log.configs.tombstone_ms
        # In a thread: decoding every record of a long log must not keep the clients waiting.
        copies = await asyncio.to_thread(compaction.rewrite, segments, oldest_tombstone_ms=oldest)
        if partition_log in self._logs.get(topic, []):  # else deleted meanwhile, perhaps created again
            compaction.swap(partition_log, copies, cleaned_to=cleaned_to)

    def _open_logs(self, name: str) -> None:
        entry = self.catalogue.topics[name]
        configs, logs = topic_configs.parse(entry.configs), self._logs[name]
        for partition in range(len(logs), entry.partitions):
            folder = self._topics_folder / name / str(partition)
            logs.append(PartitionLog(folder, configs, start=entry.starts.get(partition, 0)))


def _lock(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel gives it back, however this process ends
    except BlockingIOError:
        os.close(lock)
        raise OperatorError(f"another broker is using {folder}; stop it or choose another --data") from None
    return lock
