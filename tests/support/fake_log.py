"""A Kafka topic in memory, and a folder that can die between any two operations on the disk."""

from collections.abc import Mapping
from pathlib import Path

from collector.schema.codec import Batch, columns_of, encode
from collector.schema.events import Completion, Kind
from streams.capture.files import DiskFolder
from streams.capture.recorder import Lost


def message(rows: list[Completion], *, seq: int, key: str = "chat", watermark: int | None = None, **fields) -> bytes:
    """The body of one completion batch."""
    batch = Batch(
        **{"agent": "a1", "boot": "b1", "key": key, "seq": seq, "kind": Kind.COMPLETION, "n": len(rows), **fields},
        watermark=watermark,
        columns=columns_of(Kind.COMPLETION, rows) if rows else {},
    )
    return encode(batch)


def heartbeat(*, seq: int, watermark: int, key: str = "chat", **fields) -> bytes:
    """The body of an empty arrival batch."""
    envelope = {"agent": "a1", "boot": "b1", "key": key, "seq": seq, "kind": Kind.ARRIVAL, "n": 0, **fields}
    return encode(Batch(**envelope, watermark=watermark))


class FakeLog:
    """Partitions of (offset, body); commits and positions outlive the captures that use it."""

    def __init__(self, partitions: dict[int, list[bytes]], poll_size: int = 3) -> None:
        self.partitions = {p: list(enumerate(bodies)) for p, bodies in partitions.items()}
        self.committed: dict[int, int] = {}
        self.refuse_commits = False
        self.from_group = False
        self.poll_size = poll_size
        self.positions: dict[int, int] = {}

    def restart(self) -> None:
        """Forget what a dead consumer had in mind."""
        self.positions = {}

    def discover(self, known: Mapping[int, int]) -> dict[int, int]:
        committed = self.committed if self.from_group else {}
        starts = {p: known.get(p, committed.get(p, self._first(p))) for p in self.partitions if p not in self.positions}
        self.positions.update(starts)
        return starts

    def poll(self) -> dict[int, list[tuple[int, bytes]]]:
        found = {}
        for partition, messages in self.partitions.items():
            position = self.positions[partition]
            if position < self._first(partition):
                raise Lost(partition, position, self._first(partition))
            next_ones = [m for m in messages if m[0] >= position][: self.poll_size]
            if next_ones:
                self.positions[partition] = next_ones[-1][0] + 1
                found[partition] = next_ones
        return found

    def seek(self, partition: int, offset: int) -> None:
        self.positions[partition] = offset

    def behind(self, ends: Mapping[int, int]) -> bool:
        return any(self.positions.get(p, 0) < end for p, end in ends.items())

    def commit(self, offsets: Mapping[int, int]) -> bool:
        if self.refuse_commits:
            return False
        self.committed.update(offsets)
        return True

    def ends(self) -> dict[int, int]:
        return {p: messages[-1][0] + 1 for p, messages in self.partitions.items() if messages}

    def forget_before(self, partition: int, offset: int) -> None:
        """Retention deletes what lies before ``offset``."""
        self.partitions[partition] = [m for m in self.partitions[partition] if m[0] >= offset]

    def _first(self, partition: int) -> int:
        messages = self.partitions[partition]
        return messages[0][0] if messages else 0


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class MortalFolder:
    """A disk folder whose process dies just before operation number ``dies_at``, buffers and all."""

    def __init__(self, path: Path, dies_at: int = 10**9) -> None:
        self._disk = DiskFolder(path)
        self._left = dies_at
        self.operations: list[str] = []
        self._files = []

    def _count(self, what: str) -> None:
        if self._left == 0:
            for file in self._files:
                file.raw.close()  # the kernel closes; what Python had buffered is lost
            raise Killed(what)
        self._left -= 1
        self.operations.append(what)

    def names(self):
        return self._disk.names()

    def create(self, name):
        self._count("create")
        file = self._disk.create(name)
        self._files.append(file)
        return file

    def sync(self, file):
        self._count("sync")
        self._disk.sync(file)

    def rename(self, old, new):
        self._count("rename")
        self._disk.rename(old, new)

    def sync_names(self):
        self._count("sync_names")
        self._disk.sync_names()

    def remove(self, name):
        self._count("remove")
        self._disk.remove(name)

    def last_line(self, name):
        return self._disk.last_line(name)

    def read(self, name):
        return self._disk.read(name)

    def facts(self, name):
        return self._disk.facts(name)


class FullFolder(DiskFolder):
    """A disk folder that refuses the operations named in ``refuses`` while they are there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.refuses: set[str] = set()

    def _check(self, what: str) -> None:
        if what in self.refuses:
            raise OSError(28, "No space left on device")

    def create(self, name):
        self._check("create")
        return super().create(name)

    def sync(self, file):
        self._check("sync")
        super().sync(file)

    def rename(self, old, new):
        self._check("rename")
        super().rename(old, new)

    def sync_names(self):
        self._check("sync_names")
        super().sync_names()
