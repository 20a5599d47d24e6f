"""Is a capture folder whole? Every byte of every segment, every offset, every sequence number."""

import itertools
from collections.abc import Callable
from pathlib import Path

from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from streams.capture import manifest
from streams.capture.files import LOCK_NAME
from streams.capture.findings import Findings
from streams.capture.ledger import BadLedger, Removed, ledger_name, load
from streams.capture.listing import file_names
from streams.capture.rows import Dedupe, Listed, Only
from streams.capture.segments import BadSegment, Segment, SegmentName, parse_name, read_segment, temporary_name


def verify_folder(folder: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Findings:
    """Return what is wrong with a capture folder; ``progress`` gets segments checked and how many there are.

    Raises ``OperatorError`` if it is none.
    """
    texts = file_names(folder)
    names = [n for text in texts if (n := parse_name(text)) is not None and n.topic == REQUESTS]
    if not names and LOCK_NAME not in texts and ledger_name(REQUESTS) not in texts:
        raise OperatorError(f"{folder} is no capture folder: it has neither segments nor {LOCK_NAME}")
    found = Findings()
    whole: list[Listed] = []
    gone: list[SegmentName] = []
    dedupe = Dedupe()
    rows = 0
    for number, name in enumerate(sorted(names)):
        progress(number, len(names))
        try:
            segment = _segment(folder, name, found)
        except FileNotFoundError:
            gone.append(name)
            continue
        if segment is not None:
            whole.append(Listed(name=name, footer=segment.footer))
            rows += sum(batch.n for _, batch in segment.batches if dedupe.is_new(batch))
    # After the files: what the retention of a running capture removed meanwhile is in it.
    removed = _ledger(folder, found)
    listed = _still_there(whole, gone, removed, found)
    _offsets([item.name for item in listed], removed, listed, found)
    _streams(listed, removed, found)
    _others(texts, found)
    _set_aside(texts, listed, removed, found)
    if dedupe.duplicates:
        found.note(f"{dedupe.duplicates:,} messages came twice; an export takes each once")
    found.checked = {"segments": len(names), "rows": rows, "removed_segments": removed.segments}
    return found


def _ledger(folder: Path, found: Findings) -> Removed:
    try:
        removed = load(REQUESTS, (folder / ledger_name(REQUESTS)).read_bytes())
    except FileNotFoundError:
        return Removed()
    except (BadLedger, OSError) as error:
        found.problem(f"{ledger_name(REQUESTS)}: {error}")
        return Removed()
    found.note(f"{removed.segments:,} segments with {removed.rows:,} rows were removed by retention")
    return removed


def _still_there(whole: list[Listed], gone: list[SegmentName], removed: Removed, found: Findings) -> list[Listed]:
    """Return the segments that are not removed; tell of files that should not, or should, be there."""
    for item in whole:
        if removed.covers(item.name):
            found.note(f"{item.name}: removed by retention, but its file was still there; the next start removes it")
    for name in gone:
        if not removed.covers(name):
            found.problem(f"{name}: it went away while this ran, and not by retention")
    return [item for item in whole if not removed.covers(item.name)]


def _segment(folder: Path, name: SegmentName, found: Findings) -> Segment | None:
    try:
        with (folder / str(name)).open("rb") as lines:
            segment = read_segment(name, lines)
    except FileNotFoundError:
        raise  # the caller knows whether it may be gone
    except (BadSegment, OSError) as error:
        found.problem(f"{name}: {error}")
        return None
    if (rows := sum(batch.n for _, batch in segment.batches)) != segment.footer.rows:
        found.problem(f"{name}: it holds {rows:,} rows, its last line says {segment.footer.rows:,}")
    return segment


def _offsets(names: list[SegmentName], removed: Removed, listed: list[Listed], found: Findings) -> None:
    for before, after in itertools.pairwise(names):
        if before.partition == after.partition and after.first <= before.last:
            found.problem(f"{after}: offsets {after.first} to {min(before.last, after.last)} are also in {before}")
    for hole in manifest.offset_holes(listed, removed):
        found.problem(f"partition {hole['partition']}: offsets {hole['first']} to {hole['last']} are in no segment")


def _streams(listed: list[Listed], removed: Removed, found: Findings) -> None:
    for stream in manifest.loss(listed, Only(), removed)["streams"]:
        who = f"agent {stream['agent']}, boot {stream['boot']}, key {stream['key']}"
        for low, high in stream["missing"]:
            found.problem(f"{who}: messages {low} to {high} are missing")
        if stream["messages_before_capture"]:
            found.note(f"{who}: {stream['messages_before_capture']:,} messages were sent before this folder began")
        if stream["dropped_events"]:
            found.note(f"{who}: the agent says it dropped {stream['dropped_events']:,} events")
    bad = manifest.message_counts(listed, 0)["undecodable"]
    if bad:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(bad.items()))
        found.note(f"messages that could not be decoded: {reasons}")


def _others(texts: list[str], found: Findings) -> None:
    for text in texts:
        if text.endswith(".seg.tmp"):
            found.note(f"{text}: still being written, or left by a killed capture, whose next start removes it")


def _set_aside(texts: list[str], listed: list[Listed], removed: Removed, found: Findings) -> None:
    """Tell of damaged files: at an end of the folder they leave no hole, yet what they held is missing."""
    covered = manifest.covered_offsets(listed, removed)
    for text in (text for text in texts if text.endswith(".damaged")):
        name = parse_name(text.removesuffix(".damaged"))
        ranges = covered[name.partition].ranges() if name is not None and name.partition in covered else []
        if (
            name is None
            or temporary_name(name.topic, name.partition, name.first) in texts
            or any(low <= name.first and name.last <= high for low, high in ranges)
        ):
            found.note(f"{text}: set aside by a capture, which read its messages again where Kafka had them")
        else:
            found.problem(f"{text}: not all of its offsets {name.first} to {name.last} are in another segment")
