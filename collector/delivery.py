"""Spool records on their way to Kafka: what is un-acked, and how far everything is delivered, in order.

Pure but for the sink it sends to. Acks may come in any order; ``acked`` moves only over records that are
delivered whole. Whatever goes wrong, starting again behind ``acked`` is right: consumers know every message.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from collector.spool.acked import Acked
from collector.spool.record import Flush, Message

WINDOW_MESSAGES = 1_000
WINDOW_BYTES = 8 * 1024 * 1024

Send = Callable[[Message, Callable[[Exception | None], None]], None]


@dataclass(slots=True, kw_only=True, eq=False)
class _Sent:
    """One record in flight."""

    seq: int
    flush: Flush
    size: int
    since_s: float
    open: int
    damaged: int
    set_aside: int = 0


class Delivery:
    """The window between the spool and Kafka.

    Attributes:
        acked: everything delivered so far.
    """

    def __init__(
        self,
        acked: Acked,
        *,
        send: Send,
        is_permanent: Callable[[Exception], bool],
        set_aside: Callable[[int, Message, Exception], None],
    ) -> None:
        self.acked = acked
        self._send = send
        self._is_permanent = is_permanent
        self._set_aside = set_aside
        self._window: deque[_Sent] = deque()
        self._results: deque[tuple[_Sent, Message, Exception | None]] = deque()
        self._messages = 0
        self._bytes = 0
        self._spooled = acked.state.spooled  # of the last record sent

    @property
    def has_room(self) -> bool:
        """True if another record may be sent."""
        return not self._window or (self._messages < WINDOW_MESSAGES and self._bytes < WINDOW_BYTES)

    @property
    def in_flight(self) -> int:
        """Records not wholly acked."""
        return len(self._window)

    def oldest_s(self, now_s: float) -> float:
        """Return for how long the oldest record has been waiting for its acks; 0 if there is none."""
        return now_s - self._window[0].since_s if self._window else 0.0

    def account_deleted(self, first_seq: int, flush: Flush) -> None:
        """Count what lay in front of the oldest record there is: only delivered segments are ever deleted."""
        if not self._window and first_seq > self.acked.seq + 1:
            before = flush.state.spooled - flush.events
            gone = max(0, before - self.acked.state.spooled)
            state = replace(self.acked.state, spooled=before)
            self.acked = replace(self.acked, seq=first_seq - 1, sent=self.acked.sent + gone, state=state)
            self._spooled = before

    def put(self, seq: int, flush: Flush, now_s: float) -> None:
        """Send one record's messages. What the sink raises passes on; start again then."""
        damaged = max(0, flush.state.spooled - flush.events - self._spooled)
        self._spooled = flush.state.spooled
        size = sum(len(message.body) for message in flush.messages)
        sent = _Sent(seq=seq, flush=flush, size=size, since_s=now_s, open=len(flush.messages), damaged=damaged)
        self._window.append(sent)
        self._messages += len(flush.messages)
        self._bytes += size
        for message in flush.messages:
            self._send(message, self._on_done(sent, message))

    def collect(self) -> Exception | None:
        """Take in what came back since the last call. Returns the first error that calls for a new start."""
        failure: Exception | None = None
        while self._results:
            sent, message, error = self._results.popleft()
            if error is not None and not self._is_permanent(error):
                failure = failure or error
                continue
            if error is not None:
                self._set_aside(sent.seq, message, error)
                sent.set_aside += message.n
            sent.open -= 1
        while self._window and not self._window[0].open:
            self._advance(self._window.popleft())
        return failure

    def restart(self) -> int:
        """Forget what is in flight. Returns the sequence number to read on behind."""
        self._window.clear()
        self._results = deque()  # a new one: answers of the producer thrown away may still come, and mean nothing
        self._messages = self._bytes = 0
        self._spooled = self.acked.state.spooled
        return self.acked.seq

    def _on_done(self, sent: _Sent, message: Message) -> Callable[[Exception | None], None]:
        results = self._results

        def done(error: Exception | None) -> None:
            results.append((sent, message, error))

        return done

    def _advance(self, sent: _Sent) -> None:
        self._messages -= len(sent.flush.messages)
        self._bytes -= sent.size
        self.acked = Acked(
            seq=sent.seq,
            sent=self.acked.sent + sent.flush.events - sent.set_aside,
            set_aside=self.acked.set_aside + sent.set_aside,
            damaged=self.acked.damaged + sent.damaged,
            state=sent.flush.state,
        )
