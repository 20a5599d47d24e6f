"""What this process has seen and done since it started: plain counts, shown as metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Process counters; they start at 0 with the process, as Prometheus expects.

    Attributes:
        messages: messages read, by topic (a message read again after a restart counts again).
        dead_letters: by (topic, reason).
        processor_errors: exceptions of our own code, by their class name.
        offset_gaps: times a message came although earlier ones were missing: the reader was moved back.
        lost_messages: offsets the log no longer held when they were needed (retention).
        broken_snapshots: service snapshots that could not be restored; the log was read again for them.
        snapshots: snapshots written; ``snapshot_failures`` of them not.
        snapshot_bytes: size of the last one; ``snapshot_duration_s`` the time until it was safe.
        undelivered: results Kafka refused for good.
    """

    messages: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    processor_errors: Counter[str] = field(default_factory=Counter)
    offset_gaps: int = 0
    lost_messages: int = 0
    broken_snapshots: int = 0
    snapshots: int = 0
    snapshot_failures: int = 0
    snapshot_bytes: int | None = None
    snapshot_duration_s: float | None = None
    undelivered: int = 0


@dataclass(slots=True)
class CaptureTally:
    """What one `burstwatch capture` has seen and done since it started.

    Written by the recording thread alone, read by others at any moment without a lock: each value is right by itself.

    Attributes:
        steps: turns of the recording loop, to tell one that is stuck.
        messages: messages taken, ``unreadable`` of them not to be decoded; each once, however often the disk refuses.
        events: completed requests in the segments finished; ``segments`` how many those are.
        newest: file name of the segment finished last.
        lost: by partition, messages Kafka no longer held when their turn came.
        write_failures: times the disk refused.
    """

    steps: int = 0
    messages: int = 0
    unreadable: int = 0
    events: int = 0
    segments: int = 0
    newest: str | None = None
    lost: Counter[int] = field(default_factory=Counter)
    write_failures: int = 0
