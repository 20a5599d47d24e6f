"""Server-sent events out of a byte stream, piece by piece. Pure; bounded memory; any bytes are fine."""

EVENT_BYTES_MAX = 64 * 1024


class SseParser:
    """Feed it chunks as they come, get the data of each complete event.

    Lines may end in LF, CRLF or CR; chunks may split anything. An event larger than ``EVENT_BYTES_MAX`` is
    skipped and counted in ``oversized``.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self.oversized = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of every event that ``chunk`` completes."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        text = self._rest + chunk
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        events = [event for line in lines if (event := self._on_line(line)) is not None]
        if len(self._rest) > EVENT_BYTES_MAX:
            self._size = EVENT_BYTES_MAX + 1
            self._rest = b"data:"  # what follows on this line belongs to the event that is skipped
        return events

    def _on_line(self, line: bytes) -> bytes | None:
        if line:
            if line.startswith(b"data:"):
                data = line[5:].removeprefix(b" ")
                self._size += len(data)
                if self._size <= EVENT_BYTES_MAX:
                    self._data.append(data)
            return None
        parts, size = self._data, self._size
        self._data, self._size = [], 0
        if size > EVENT_BYTES_MAX:
            self.oversized += 1
            return None
        return b"\n".join(parts) if parts else None
