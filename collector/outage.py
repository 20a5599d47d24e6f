"""When Kafka was lost and when it is back, each told once: an outage is two lines, however often it was tried. Pure."""

from dataclasses import dataclass

AWAY_S = 5.0  # acks take milliseconds; what takes so long is away for whoever waits
NEVER = -1


@dataclass(slots=True)
class Outage:
    """Turns what the shipper sees into at most one line at each turn.

    Attributes:
        address: the bootstrap servers, as configured.
    """

    address: str
    _since_s: float | None = None
    _acked: int = NEVER  # how far delivery had got when Kafka was lost

    def refused(self, now_s: float, acked: int, why: str) -> str | None:
        """Kafka could not be reached at ``now_s`` (any clock's seconds). Returns the line to warn with, if any."""
        if self._since_s is not None:
            return None
        self._since_s, self._acked = now_s, acked
        return (
            f"event=kafka_away address={self.address} reason={why.replace(' ', '_')} "
            'note="events wait in the spool until it is back"'
        )

    def answered(self, now_s: float) -> str | None:
        """Kafka let us connect. Returns the line to warn with, if any."""
        if self._since_s is None:
            return None
        away_s, self._since_s = now_s - self._since_s, None
        return f"event=kafka_back away_s={away_s:.1f}"

    def waited(self, now_s: float, acked: int, oldest_s: float) -> str | None:
        """The oldest record that is sent has waited ``oldest_s`` for its acks. Returns the line to warn with, if any.

        Back is who acks again, and has caught up: a producer thrown away has nothing that waits, and says nothing.
        """
        if oldest_s >= AWAY_S:
            return self.refused(now_s - oldest_s, acked, f"no ack for {AWAY_S:g} s")
        return self.answered(now_s) if acked > self._acked else None
