"""What is seen of one attempt at a request, filled in as it happens. Times are ``time.perf_counter``'s."""

from dataclasses import dataclass, field

from collector.schema.events import Outcome, Reason
from workload.replay.sse import SseReader


@dataclass(slots=True)
class Answer:
    """One attempt. What has not happened (yet) is None; an attempt that is broken off keeps what it had.

    Attributes:
        endpoint: the server asked.
        sent_s: when the last of the body was given to the socket.
        gaps_s: seconds between one chunk with text and the next; chunks that came in one read have 0 between them.
        said: what the server told that explains a failure, for a person; bounded.
    """

    endpoint: str = ""
    sent_s: float | None = None
    first_s: float | None = None
    ended_s: float | None = None
    gaps_s: list[float] = field(default_factory=list)
    chunks: int = 0
    outcome: Outcome = Outcome.CANCELLED
    reason: Reason | None = None
    http_status: int | None = None
    request_tokens: int | None = None
    response_tokens: int | None = None
    cached_tokens: int | None = None
    text: str = ""
    said: str = ""
    _latest_s: float = 0.0

    def on_chunks(self, reader: SseReader, now_s: float) -> None:
        """Take the time of what ``reader`` has read since the last call."""
        new = reader.chunks - self.chunks
        if not new:
            return
        if self.first_s is None:
            self.first_s = now_s
        else:
            self.gaps_s.append(now_s - self._latest_s)
        self.gaps_s += [0.0] * (new - 1)
        self.chunks, self._latest_s = reader.chunks, now_s

    def take_counts(self, reader: SseReader) -> None:
        """Take what the server counted and said."""
        self.request_tokens = reader.count("prompt_tokens")
        self.response_tokens = reader.count("completion_tokens")
        self.cached_tokens = reader.cached_tokens()
        self.text = "".join(reader.texts)

    def end(self, now_s: float, outcome: Outcome, reason: Reason | None = None) -> None:
        """Tell how it ended."""
        self.ended_s, self.outcome, self.reason = now_s, outcome, reason
