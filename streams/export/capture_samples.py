"""What `burstwatch capture` shows of itself, as samples. Pure; clock, disk and Kafka are arguments."""

from collections.abc import Collection, Iterator, Mapping

from streams.export.samples import Sample, if_known
from streams.export.tally import CaptureTally


def capture_samples(
    tally: CaptureTally,
    *,
    partitions: Collection[int],
    lag: Mapping[int, int],
    newest_s: float | None,
    free_bytes: int | None,
) -> Iterator[Sample]:
    """Return everything a capture shows.

    ``partitions`` are those it reads, ``lag`` the messages each of them still holds for it where that is known;
    ``newest_s`` is when its newest segment was finished (Unix time), None without any.
    """
    plain = {
        "messages_total": tally.messages,
        "events_total": tally.events,
        "segments_total": tally.segments,
        "unreadable_messages_total": tally.unreadable,
        "write_failures_total": tally.write_failures,
        "last_segment_timestamp_seconds": newest_s,
        "disk_free_bytes": free_bytes,
    }
    for name, value in plain.items():
        yield from if_known(f"capture_{name}", (), value)
    for partition in sorted(partitions):
        labels = (str(partition),)
        yield from if_known("capture_lost_messages_total", labels, tally.lost[partition])
        yield from if_known("capture_lag_messages", labels, lag.get(partition))
