"""The capture loop: messages from a log into segments, offsets back; a full disk is waited out."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from streams.capture.writer import SegmentWriter

_log = logging.getLogger(__name__)

_RETRY_FIRST_S = 1.0
_RETRY_MAX_S = 15.0


class Lost(Exception):  # noqa: N818 - named for what it is
    """Kafka no longer has what comes next in a partition (retention was shorter than the pause)."""

    def __init__(self, partition: int, wanted: int, earliest: int) -> None:
        super().__init__(f"partition {partition}: offsets {wanted} to {earliest - 1} are gone")
        self.partition = partition
        self.wanted = wanted
        self.earliest = earliest


class Log(Protocol):
    """One topic of Kafka, as capture sees it."""

    def discover(self, known: Mapping[int, int]) -> dict[int, int]:
        """Return the start offset of each partition found since the last call, set to be read from there.

        ``known`` is what the files say. Without, the earliest; or what the group committed, if that was asked for.
        """

    def poll(self) -> dict[int, list[tuple[int, bytes]]]:
        """Return the next messages per partition as (offset, body); empty if there are none. May raise ``Lost``."""

    def seek(self, partition: int, offset: int) -> None:
        """Make ``offset`` the next one to be returned."""

    def behind(self, ends: Mapping[int, int]) -> bool:
        """True while messages before ``ends`` (offset per partition) have yet to be polled."""

    def commit(self, offsets: Mapping[int, int]) -> bool:
        """Tell Kafka what need not be read again; False if it did not hear it (ask again later)."""


class Recorder:
    """Moves messages from a log to a writer, one poll at a time."""

    def __init__(self, log: Log, writer: SegmentWriter, wait: Callable[[float], object]) -> None:
        self._source = log
        self._writer = writer
        self._tally = writer.tally
        self._wait = wait
        self._retry_s = _RETRY_FIRST_S
        self._untidy = False

    def step(self) -> int:
        """Record what one poll brings and commit what is safe; return the number of messages taken."""
        self._tally.steps += 1
        for partition, offset in self._source.discover(self._writer.next_offsets()).items():
            self._writer.start(partition, offset)
        seen = 0
        trouble: OSError | None = None
        for partition, messages in self._poll().items():
            try:
                for offset, body in messages:
                    self._writer.add(partition, offset, body)
                    seen += 1
            except OSError as error:
                trouble = error
                self._refused(partition)
        trouble = trouble or self._settle()
        self._tidy()  # before waiting: it may be what makes room
        self._pace(trouble, seen)
        self.commit()
        return seen

    def drain(self, ends: Mapping[int, int], give_up: Callable[[], bool]) -> None:
        """Go on until everything before ``ends`` is taken, or ``give_up`` says it takes too long."""
        while self._source.behind(ends) and not give_up():
            self.step()

    def finish(self) -> bool:
        """Finish all open segments and commit. False if the disk refused: those messages stay in Kafka."""
        trouble = None
        for partition in self._writer.open_partitions():
            trouble = self._finish(partition) or trouble
        trouble = trouble or self._settle()
        if trouble:
            _log.error(
                'event=disk_trouble error="%s" note="an unfinished segment was dropped; its messages stay in '
                'Kafka for the next start"',
                trouble,
            )
        self.commit()
        return trouble is None

    def commit(self) -> None:
        """Commit what has become safe; what cannot be committed now is tried again at the next step."""
        offsets = self._writer.committable()
        if offsets and self._source.commit(offsets):
            self._writer.committed(offsets)

    def _poll(self) -> dict[int, list[tuple[int, bytes]]]:
        try:
            return self._source.poll()
        except Lost as lost:
            _log.error(
                "event=lost_offsets partition=%d first=%d last=%d", lost.partition, lost.wanted, lost.earliest - 1
            )
            # The open segment ends before the hole, so that file names show it.
            if self._finish(lost.partition) is None:
                self._tally.lost[lost.partition] += lost.earliest - lost.wanted
                self._writer.start(lost.partition, lost.earliest)
                self._source.seek(lost.partition, lost.earliest)
            return {}

    def _finish(self, partition: int) -> OSError | None:
        try:
            self._writer.finish(partition)
        except OSError as error:
            self._refused(partition)
            return error
        return None

    def _refused(self, partition: int) -> None:
        """Go back to where the segment that the disk refused began."""
        self._tally.write_failures += 1
        self._source.seek(partition, self._writer.abandon(partition))

    def _settle(self) -> OSError | None:
        try:
            self._writer.settle()
        except OSError as error:
            self._tally.write_failures += 1
            return error
        return None

    def _tidy(self) -> None:
        """Let retention do its work; where the disk refuses it, recording goes on and it is tried again."""
        try:
            self._writer.tidy()
        except OSError as error:
            if not self._untidy:
                _log.error('event=retention_trouble error="%s" note="tried again and again; told this once"', error)
            self._untidy = True
        else:
            self._untidy = False

    def _pace(self, trouble: OSError | None, seen: int) -> None:
        if trouble is None:
            self._retry_s = _RETRY_FIRST_S if seen else self._retry_s
            return
        _log.error(
            'event=disk_trouble error="%s" retry_s=%g note="nothing is lost, the messages stay in Kafka; '
            'free some space"',
            trouble,
            self._retry_s,
        )
        self._wait(self._retry_s)
        self._retry_s = min(2 * self._retry_s, _RETRY_MAX_S)
