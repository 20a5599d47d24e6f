"""A trace file in memory: sorted by submission, one array per column (about 50 bytes a row)."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from collector.schema.errors import BadTrace, OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG
from collector.schema.trace_rows import TraceRow, read_rows

ABSENT = -1
_LOG_TYPES = (API_LOG, CONVERSATION_LOG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The rows of a trace, stably sorted by submission.

    Attributes:
        digest: identifies the file's content, to tell whether a checkpoint is about this file.
        absolute: the times are calendar times (us since the epoch), not seconds since an origin.
        row: each request's row number in the file, from 0.
        submitted, elapsed: us; ``ABSENT`` where not known. Counts likewise.
        model, session: indexes into ``texts``; ``ABSENT`` where there is none.
        log_type: 1 for a conversation.
    """

    digest: str
    absolute: bool
    row: Sequence[int]
    submitted: Sequence[int]
    elapsed: Sequence[int]
    request_tokens: Sequence[int]
    response_tokens: Sequence[int]
    model: Sequence[int]
    session: Sequence[int]
    log_type: Sequence[int]
    texts: Sequence[str]

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.row)

    def text(self, index: int) -> str | None:
        """Return a coded text."""
        return None if index == ABSENT else self.texts[index]

    def log_type_of(self, row: int) -> str:
        """Return the log type of the request at ``row`` of the sorted order."""
        return _LOG_TYPES[self.log_type[row]]

    def ends_at(self, row: int) -> int:
        """Return when the request's completion is told, in the file's clock: its end, or its submission."""
        elapsed = self.elapsed[row]
        return self.submitted[row] + (elapsed if elapsed != ABSENT else 0)


def load_recording(path: Path) -> Recording:
    """Return the trace at ``path``. Raises ``OperatorError`` naming file, line and problem."""
    try:
        with path.open("rb") as binary:
            digest = hashlib.file_digest(binary, "blake2b").hexdigest()[:32]
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            return build_recording(lines, digest)
    except BadTrace as error:
        raise OperatorError(f"trace {path}: {error}") from None
    except OSError as error:
        raise OperatorError(f"trace {path}: {error.strerror}") from None


def build_recording(lines: Iterable[str], digest: str) -> Recording:
    """Return the trace in ``lines``. Raises ``BadTrace``."""
    header, rows = read_rows(lines)
    numbers = {name: array("q") for name in ("submitted", "elapsed", "request_tokens", "response_tokens")}
    codes = {name: array("l") for name in ("model", "session")}
    log_type = array("b")
    texts: dict[str, int] = {}
    for row in rows:
        numbers["submitted"].append(row.submitted_us)
        for name in ("elapsed", "request_tokens", "response_tokens"):
            value = getattr(row, "elapsed_us" if name == "elapsed" else name)
            numbers[name].append(ABSENT if value is None else value)
        for name, column in codes.items():
            text = getattr(row, name)
            column.append(ABSENT if text is None else texts.setdefault(text, len(texts)))
        log_type.append(_is_conversation(row))
    submitted = numbers["submitted"]
    order: Sequence[int] = range(len(submitted))
    if any(earlier > later for earlier, later in pairwise(submitted)):
        order = array("l", sorted(order, key=submitted.__getitem__))
    columns = {**numbers, **codes, "log_type": log_type}
    ordered = {name: array(column.typecode, map(column.__getitem__, order)) for name, column in columns.items()}
    return Recording(digest=digest, absolute=header.absolute, row=order, texts=tuple(texts), **ordered)


def _is_conversation(row: TraceRow) -> bool:
    if row.log_type is not None:
        return row.log_type == CONVERSATION_LOG
    return row.session is not None
