"""What a format is: how its rows are read and written, and what it has room for. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.told import Told

Read = Callable[[Iterable[bytes], Reading], Iterator[Record]]
Encode = Callable[[Iterable[Record], Told], Iterator[bytes]]

_ROWS_A_CHUNK = 2_000


class Zero(StrEnum):
    """Where the times of a file count from."""

    KEEP = "keep"  # as in the file that was read
    FIRST = "first"  # 0 is the first row: tools wait as long as the first timestamp says
    DAY = "day"  # 0 is midnight (UTC) before the first row, where calendar times are known: the paper's convention


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        name, about, suffix: what operators write, one line for ``--help``, what such files are called.
        holds: the columns of ``Record`` (and keys of ``Record.other``) that come back when written and read again.
        absolute: its times are calendar times, in microseconds since the epoch.
        marks_failures: a failed request is told from others (by 0 response tokens), though ``outcome`` is not held.
        zero: where the times of a converted file count from unless the operator says otherwise.
        read: lines to records, streaming; None: only written.
        encode: records to chunks of bytes, streaming; None: only read.
        read_file, encode_file: instead of the two, for formats that are no lines.
        refuses: why a record cannot stand in such a file (None: it can).
    """

    name: str
    about: str
    suffix: str
    holds: frozenset[str]
    absolute: bool = False
    marks_failures: bool = False
    zero: Zero = Zero.KEEP
    read: Read | None = None
    encode: Encode | None = None
    read_file: Callable[[Path, Reading], Iterator[Record]] | None = None
    encode_file: Callable[[Iterable[Record], Told, Path], None] | None = None
    refuses: Callable[[Record], str | None] = lambda _: None


def chunked(lines: Iterable[str]) -> Iterator[bytes]:
    """Return lines (each with its end) joined into chunks that are worth a write."""
    waiting = iter(lines)
    while chunk := "".join(islice(waiting, _ROWS_A_CHUNK)):
        yield chunk.encode()


def holds(*names: str) -> frozenset[str]:
    """Return the columns a format has room for; the time of submission is always among them."""
    return frozenset({"submitted_us", *names})


NO_REQUEST_TOKENS = "request tokens unknown"
NO_RESPONSE_TOKENS = "response tokens unknown"
FAILED = "failed"
ZERO_TOKENS = "0 tokens"


def unusable(record: Record) -> str | None:
    """Return why a load generator cannot send the request again: it failed, or a length is unknown or zero."""
    if record.failed:
        return FAILED
    if record.request_tokens is None:
        return NO_REQUEST_TOKENS
    if record.response_tokens is None:
        return NO_RESPONSE_TOKENS
    return ZERO_TOKENS if record.request_tokens == 0 or record.response_tokens == 0 else None
