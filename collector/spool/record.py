"""One flush as one spool record: all its messages and the state they bring about, so that it counts whole or not.

A record is a JSON line (what the messages are, the state behind them) and their bodies, end to end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

Checkpoints = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One Kafka message: where it goes, its event time in ms, how many events it holds, its body."""

    topic: str
    key: str
    at_ms: int
    n: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is true once a record is in the spool.

    Attributes:
        spooled: events written to this spool since it was made, this record included.
        dropped: events the agent had to drop since this spool was made.
        checkpoints: per resumable source, where its reading goes on.
    """

    spooled: int = 0
    dropped: int = 0
    checkpoints: Checkpoints = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """What one record holds."""

    messages: Sequence[Message]
    state: State

    @property
    def events(self) -> int:
        """Events in all messages."""
        return sum(message.n for message in self.messages)


def encode_flush(flush: Flush) -> bytes:
    """Return the payload of a record."""
    heads = [[m.topic, m.key, m.at_ms, m.n, len(m.body)] for m in flush.messages]
    return b"".join(
        [
            orjson.dumps({"messages": heads, **state_to_json(flush.state)}),
            b"\n",
            *(message.body for message in flush.messages),
        ]
    )


def decode_flush(payload: bytes) -> Flush:
    """Return the flush in ``payload``. Raises ``ValueError`` where it is none (the CRC held: not our writing)."""
    head, _, bodies = payload.partition(b"\n")
    raw = orjson.loads(head)
    try:
        messages, offset = [], 0
        for topic, key, at_ms, n, size in raw["messages"]:
            body = bodies[offset : offset + size]
            messages.append(Message(topic=topic, key=key, at_ms=at_ms, n=n, body=body))
            offset += size
        state = state_from_json(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a flush: {error!r}") from None
    if offset != len(bodies):
        raise ValueError("not a flush: bodies of another length than announced")
    return Flush(messages=messages, state=state)


def state_to_json(state: State) -> dict[str, Any]:
    """Return ``state`` as a JSON object."""
    return {"spooled": state.spooled, "dropped": state.dropped, "checkpoints": state.checkpoints}


def state_from_json(raw: Mapping[str, Any]) -> State:
    """Return the state in a JSON object. Raises ``KeyError`` if a part is missing."""
    return State(spooled=raw["spooled"], dropped=raw["dropped"], checkpoints=raw["checkpoints"])
