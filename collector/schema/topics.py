"""Topic names, what their keys mean, and how they are created."""

from dataclasses import dataclass, field

from collector.schema.events import Kind

REQUESTS = "llm.requests"  # arrivals and completions, key = service
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

TOPICS = (
    Topic(REQUESTS, {"retention.ms": str(7 * _DAY_MS), "max.message.bytes": "16777216"}),
    Topic(RESOURCES, {"retention.ms": str(_DAY_MS), "max.message.bytes": "16777216"}),
    Topic(WINDOWS, {"retention.ms": str(7 * _DAY_MS)}),
    Topic(EPISODES, {"retention.ms": str(30 * _DAY_MS)}),
    Topic(DEAD_LETTER, {"retention.ms": str(30 * _DAY_MS)}),
)
