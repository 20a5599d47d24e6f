"""What happened to a service's messages and events on the way: nothing is lost without a count."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Counts since the service was first seen (restored with the state), and where event time stands.

    Attributes:
        messages: messages applied or recognised as duplicates.
        duplicates: messages whose identity had been applied before.
        replayed: messages at source offsets already applied, since this process started (a restart re-reads
            some; not part of the snapshot, so that restarted and undisturbed runs end equal).
        missing: messages known to exist (by ``seq``) that have not come; falls when a late one fills its gap.
        late: events too late for a path: "counts" (only in totals), "ordered" (not in the gap statistics).
        future: events beyond the bounded store of what lies ahead of the watermark (only in totals).
        dropped_by_agents: events the agents say they had to drop.
        watermark: event time up to which everything is known (us); None before the first promise.
        set_back: times event time was set back, because it had run ahead of every agent (a broken clock).
        agents: agents that take part in the watermark; ``agents_idle`` lag too far and do not hold it back.
    """

    messages: int
    duplicates: int
    replayed: int
    missing: int
    late: Mapping[str, int]
    future: int
    dropped_by_agents: int
    watermark: int | None
    set_back: int
    agents: int
    agents_idle: int
