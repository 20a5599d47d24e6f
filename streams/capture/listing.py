"""A capture folder as readers see it: its finished segments, what retention removed, what is still being written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS
from streams.capture.files import LOCK_NAME, last_line
from streams.capture.ledger import BadLedger, Removed, ledger_name, load
from streams.capture.rows import Listed
from streams.capture.segments import BadSegment, Segment, SegmentName, parse_footer, parse_name, read_segment

_MEND = "move that file out of the folder to export the rest (the manifest will name the hole)"


class Vanished(OperatorError):  # noqa: N818 - named for what it is
    """A listed segment was removed by the capture's retention before it could be read: list anew."""

    def __init__(self, name: SegmentName) -> None:
        super().__init__(f"segment {name} went away while it was needed; run this again")


def list_segments(folder: Path) -> list[Listed]:
    """Return the finished segments of a capture folder. Raises ``OperatorError`` if it is not one."""
    return folder_state(folder)[0]


def folder_state(folder: Path) -> tuple[list[Listed], Removed]:
    """Return a capture folder's finished segments and what retention has removed: each segment is in one of the two.

    Read by themselves, one after the other, a segment that is removed meanwhile would be counted in both. Raises
    ``OperatorError`` if it is no capture folder.
    """
    texts = file_names(folder)
    names = [name for text in texts if (name := parse_name(text)) is not None]
    if not names and LOCK_NAME not in texts and ledger_name(REQUESTS) not in texts:
        raise OperatorError(f"{folder} holds no captured segments; give the --out folder of `burstwatch capture`")
    found = [_listed(folder, name) for name in sorted(names) if name.topic == REQUESTS]
    # After the files: what is removed from now on is missed when it is read, what was removed before is in here.
    removed = removed_from(folder)
    return [item for item in found if item is not None and not removed.covers(item.name)], removed


def removed_from(folder: Path) -> Removed:
    """Return what retention has removed from the folder. Raises ``OperatorError`` if its ledger is damaged."""
    path = folder / ledger_name(REQUESTS)
    try:
        return load(REQUESTS, path.read_bytes())
    except FileNotFoundError:
        return Removed()
    except (BadLedger, OSError) as error:
        raise OperatorError(
            f"{path} is damaged: {error}; move it out of the folder (what it named then counts as a hole)"
        ) from None


def open_segments(folder: Path) -> list[str]:
    """Return the names of segments that are not finished; a running capture finishes them."""
    return [text for text in file_names(folder) if text.startswith(f"{REQUESTS}-") and text.endswith(".seg.tmp")]


def file_names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted. Raises ``OperatorError`` if it cannot be read."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise OperatorError(
            f"cannot read {folder}: {error.strerror}; give the --out folder of `burstwatch capture`"
        ) from None


def _listed(folder: Path, name: SegmentName) -> Listed | None:
    try:
        return Listed(name=name, footer=parse_footer(last_line(folder / str(name))))
    except FileNotFoundError:
        return None
    except (BadSegment, OSError) as error:
        raise OperatorError(f"segment {name} is damaged: {error}; {_MEND}") from None


@dataclass(slots=True)
class Reader:
    """Reads and verifies segments of a folder, keeping their hashes for the manifest."""

    folder: Path
    hashes: dict[str, str] = field(default_factory=dict)

    def read(self, name: SegmentName) -> Segment:
        """Return a segment's contents. Raises ``OperatorError`` if it is damaged, ``Vanished`` if it is gone."""
        try:
            with (self.folder / str(name)).open("rb") as lines:
                segment = read_segment(name, lines)
        except FileNotFoundError:
            raise Vanished(name) from None
        except (BadSegment, OSError) as error:
            raise OperatorError(f"segment {name} is damaged: {error}; {_MEND}") from None
        self.hashes[str(name)] = segment.sha256
        return segment

    def listed(self, listed: Iterable[Listed]) -> list[Listed]:
        """Return those of ``listed`` that were read."""
        return [item for item in listed if str(item.name) in self.hashes]


def services_of(listed: Iterable[Listed]) -> list[str]:
    """Return the services (keys) that segments saw anything of, sorted."""
    return sorted({stream.key for item in listed for stream in item.footer.streams})
