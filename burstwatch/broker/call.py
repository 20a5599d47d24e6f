"""What a handler is given (the broker and one decoded request) and what it gives back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.coordinator import Coordinator
from burstwatch.broker.store import Store

NODE_ID = 1
CLUSTER_ID = "burstwatch-embedded-bkr"  # 22 to 23 characters, like a Kafka cluster id

Decoded = Any  # a message, or part of one, as kafka-python decodes it; it comes without types
Fields = dict[str, Any]  # a response, by the protocol's field names; what is left out keeps its default


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The parts every handler may use."""

    store: Store
    coordinator: Coordinator


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, decoded by kafka-python's codec (so: untyped), and where it came in."""

    request: Decoded
    version: int
    client_id: str
    host: str  # of this end of the connection: the address at which this client reaches the broker
    port: int


def attempt(act: Callable[..., Fields | None], *given: Decoded) -> Fields:
    """Return what `act` returns for what is given, or the error code and message if it is refused."""
    try:
        return {"error_code": Code.NONE, "error_message": None} | (act(*given) or {})
    except Refused as refusal:
        return {"error_code": refusal.code, "error_message": str(refusal)}


def by_topic(topics: Iterable[Decoded], answer: Callable[[str, Decoded], Fields], **names: str) -> list[Fields]:
    """Answer each partition of each topic of a request: topics hold partitions, in and out.

    `names` are the field names where they are not the usual ones: `topic` ("name"), `wanted` ("partitions"),
    `index` ("partition_index"), `answered` ("partitions"). A refusal becomes the partition's error code.
    """
    topic_field, wanted = names.get("topic", "name"), names.get("wanted", "partitions")
    index_field, answered = names.get("index", "partition_index"), names.get("answered", "partitions")
    return [
        {
            topic_field: (name := getattr(topic, topic_field)),
            answered: [
                {index_field: getattr(partition, index_field)} | attempt(answer, name, partition)
                for partition in getattr(topic, wanted)
            ],
        }
        for topic in topics
    ]


def refuse_transactions(transactional_id: str | None) -> None:
    """Raise Refused if a client names a transaction: this broker has none, and says so at the first step."""
    if transactional_id:
        raise Refused(
            Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "the embedded broker has no transactions; use Apache Kafka, or an idempotent producer",
        )
