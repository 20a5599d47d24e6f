"""Which segments are old enough to go, and their removal in steps that a crash may interrupt anywhere.

A segment's **age** is how far all of its services have gone on since, in their own event time. A service that has
fallen silent has no event time any more; for it the wall clock stands in, counted from when the file was finished. So
the age is the larger of the two. Event times more than a day ahead of the wall clock are not believed: one broken
clock must not make everything else look old.

The newest segment of a partition always stays: it says where to go on.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streams.capture.files import Folder
from streams.capture.footer import Footer
from streams.capture.ledger import Removed, dump, ledger_name
from streams.capture.segments import BadSegment, SegmentName, parse_footer

_log = logging.getLogger(__name__)

DAY_US = 86_400_000_000
LOOK_EVERY_US = 60_000_000
_FREE_MORE = 100  # with one segment over the limit, a hundredth more goes: not every new segment starts a search


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept: segments of an ``age_us`` at most, and so many ``bytes``; None is without end."""

    age_us: int | None = None
    bytes: int | None = None

    def __bool__(self) -> bool:
        return self.age_us is not None or self.bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A finished segment. ``newest_us``: by service, how far it takes that service's event time."""

    name: SegmentName
    bytes: int
    finished_us: int
    newest_us: Mapping[str, int]


def ages_us(kept: list[Kept], now_us: int) -> list[int]:
    """Return each segment's age, as this file's first lines define it."""
    believed = now_us + DAY_US
    newest: dict[str, int] = {}
    for segment in kept:
        for service, time_us in segment.newest_us.items():
            if time_us <= believed:
                newest[service] = max(time_us, newest.get(service, 0))
    ages = []
    for segment in kept:
        gone_on = [newest.get(service, 0) - time_us for service, time_us in segment.newest_us.items()]
        ages.append(max(min(gone_on, default=0), now_us - segment.finished_us, 0))
    return ages


def to_remove(kept: list[Kept], limits: Limits, now_us: int) -> list[Kept]:
    """Return the segments to remove, the oldest first; never the newest of a partition."""
    last = {segment.name.partition: segment.name for segment in sorted(kept, key=lambda segment: segment.name)}
    aged = [
        (age, segment)
        for age, segment in zip(ages_us(kept, now_us), kept, strict=True)
        if last[segment.name.partition] != segment.name
    ]
    aged.sort(key=lambda item: (-item[0], item[1].name))
    over = 0
    if limits.bytes is not None and (total := sum(segment.bytes for segment in kept)) > limits.bytes:
        over = total - limits.bytes + limits.bytes // _FREE_MORE
    victims = []
    for age, segment in aged:
        if over <= 0 and (limits.age_us is None or age <= limits.age_us):
            break
        victims.append(segment)
        over -= segment.bytes
    return victims


@dataclass(slots=True)
class Retention:
    """The finished segments of a folder, and what keeps them within the limits. ``clock_us`` is the wall clock."""

    folder: Folder
    topic: str
    limits: Limits
    clock_us: Callable[[], int]
    removed: Removed = field(default_factory=Removed)
    _kept: dict[SegmentName, Kept] = field(default_factory=dict)
    _bytes: int = 0
    _looked_us: int | None = None
    _refused: bool = False

    def add(self, name: SegmentName, footer: Footer) -> None:
        """Take over a finished segment whose name is safely on the disk. Raises ``OSError``."""
        try:
            size, finished_us = self.folder.facts(str(name))
        except FileNotFoundError:  # somebody has moved it away
            return
        if name in self._kept:
            self._forget(name)
        newest = {
            service: seen.newest_us for service, seen in (footer.services or {}).items() if seen.newest_us is not None
        }
        self._kept[name] = Kept(name=name, bytes=size, finished_us=finished_us, newest_us=newest)
        self._bytes += size

    def enforce(self) -> int:
        """Remove what is over the limits; return how many segments went. Raises ``OSError``: call again later."""
        now_us = self.clock_us()
        full = self.limits.bytes is not None and self._bytes > self.limits.bytes
        rested = self._looked_us is None or abs(now_us - self._looked_us) >= LOOK_EVERY_US
        if not rested and (self._refused or not full):
            return 0
        if not full and self.limits.age_us is None:
            return 0
        self._looked_us = now_us
        victims = [
            (segment, footer)
            for segment in to_remove(list(self._kept.values()), self.limits, now_us)
            if (footer := self._footer(segment.name)) is not None
        ]
        if victims:
            self._remove(victims)
        return len(victims)

    def _footer(self, name: SegmentName) -> Footer | None:
        try:
            return parse_footer(self.folder.last_line(str(name)))
        except (BadSegment, FileNotFoundError) as error:
            _log.error('event=retention_skipped name=%s error="%s" note="it is left as it is"', name, error)
            self._forget(name)
            return None

    def _remove(self, victims: list[tuple[Kept, Footer]]) -> None:
        removed = self.removed.plus([(segment.name, footer, segment.bytes) for segment, footer in victims])
        self._refused = True  # until it was not: a disk that refuses is not asked at every step
        write_ledger(self.folder, self.topic, removed)
        self._refused = False
        # From here on they are removed, whether or not their files still are there.
        self.removed = removed
        for segment, _ in victims:
            self._forget(segment.name)
        for segment, _ in victims:
            self.folder.remove(str(segment.name))
        _log.info(
            "event=retention removed_segments=%d rows=%d bytes=%d kept_bytes=%d",
            len(victims),
            sum(footer.rows for _, footer in victims),
            sum(segment.bytes for segment, _ in victims),
            self._bytes,
        )

    def _forget(self, name: SegmentName) -> None:
        self._bytes -= self._kept.pop(name).bytes


def write_ledger(folder: Folder, topic: str, removed: Removed) -> None:
    """Put the ledger on the disk, in one step. Raises ``OSError``; then the old one stands."""
    name = ledger_name(topic)
    with folder.create(f"{name}.tmp") as file:
        file.write(dump(topic, removed))
        folder.sync(file)
    folder.rename(f"{name}.tmp", name)
    folder.sync_names()
