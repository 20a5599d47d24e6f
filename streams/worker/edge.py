"""What the worker sees of Kafka: messages, and what may be done, as functions. No Faust here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.worker.outbox import Send

Entry = tuple[int, bytes, bytes | None]  # partition, key, body; None erases the key


class Message(Protocol):
    """A Kafka message as Faust hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: float | None  # seconds; when Kafka appended it


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """What the flow may do to Kafka.

    Attributes:
        send: hand a result to the producer.
        write: put entries into the changelog; returns when Kafka has them.
        commit: commit next offsets by partition; may fail silently, it is a hint.
        rewind: read a partition again from an offset; None leaves holes as they are (see ``app.Guards``).
        errors: what ``write`` raises while Kafka is away.
        end: where a partition (topic, number) ends as far as is known without asking; None if it is not.
    """

    send: Send
    write: Callable[[Sequence[Entry]], Awaitable[None]]
    commit: Callable[[Mapping[int, int]], Awaitable[None]]
    rewind: Callable[[int, int], None] | None
    errors: type[Exception]
    end: Callable[[str, int], int | None] = lambda _topic, _number: None


def appended_at(message: Message) -> int | None:
    """Return when Kafka appended ``message`` (us), None where it does not say."""
    return None if message.timestamp is None or message.timestamp <= 0 else round(message.timestamp * 1000) * 1000
