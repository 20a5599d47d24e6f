"""Topic names, what their keys mean, and how they are created."""

from dataclasses import dataclass, field

from collector.schema.events import Kind

REQUESTS = "llm.requests"  # arrivals, completions and the engines' readings, key = service
RESOURCES = "llm.resources"  # node state, key = node
WINDOWS = "llm.windows"  # one row per key and window every 10 s, key = service
EPISODES = "llm.episodes"  # burst onset, update, end, key = service
DEAD_LETTER = "llm.dead-letter"  # what could not be decoded: where, why, hash; never the payload

TOPIC_OF_KIND = {Kind.ARRIVAL: REQUESTS, Kind.COMPLETION: REQUESTS, Kind.RESOURCE: RESOURCES}

DEFAULT_PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic to create: its name and its broker-side settings."""

    name: str
    configs: dict[str, str] = field(default_factory=dict)


_DAY_MS = 86_400_000
_LARGE = {"max.message.bytes": "16777216"}


def _kept_for(days: int) -> dict[str, str]:
    # Counted from arrival in Kafka, not from event time: a replayed trace of 2023 would be deleted as expired
    # while it is being written, and one with times ahead of now would be refused.
    return {"retention.ms": str(days * _DAY_MS), "message.timestamp.type": "LogAppendTime"}


TOPICS = (
    Topic(REQUESTS, {**_kept_for(7), **_LARGE}),
    Topic(RESOURCES, {**_kept_for(1), **_LARGE}),
    Topic(WINDOWS, _kept_for(7)),
    Topic(EPISODES, _kept_for(30)),
    Topic(DEAD_LETTER, _kept_for(30)),
)
