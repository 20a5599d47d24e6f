"""Topic settings: the names Kafka knows, their defaults here, and the few this broker acts on."""

from collections.abc import Mapping
from dataclasses import dataclass

from burstwatch.broker.codes import Code, Refused

# What this broker acts on. Defaults are Kafka's, but for segment.bytes: small segments keep start-up fast
# (only the newest is re-read) and make retention and compaction act sooner on one machine's small topics.
DEFAULTS = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "16777216",
}
# Accepted and described, because clients and tools set them for real clusters; one node has no use for them.
_ACCEPTED = {
    "compression.type": "producer",
    "file.delete.delay.ms": "60000",
    "flush.messages": "9223372036854775807",
    "flush.ms": "9223372036854775807",
    "index.interval.bytes": "16384",
    "max.compaction.lag.ms": "9223372036854775807",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "preallocate": "false",
    "segment.index.bytes": "10485760",
    "segment.jitter.ms": "0",
    "segment.ms": "604800000",
    "unclean.leader.election.enable": "false",
}
ALL = DEFAULTS | _ACCEPTED
_CHOICES = {
    "cleanup.policy": {"delete", "compact", "compact,delete", "delete,compact"},
    "message.timestamp.type": {"CreateTime", "LogAppendTime"},
}
_SMALLEST = {"retention.bytes": -1, "retention.ms": -1, "segment.bytes": 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfigs:
    """A topic's settings, parsed. Times are in ms, sizes in bytes, -1 means without limit."""

    compacts: bool
    deletes: bool
    tombstone_ms: int
    max_message_bytes: int
    uses_append_time: bool
    most_ahead_ms: int
    dirty_ratio: float
    retention_bytes: int
    retention_ms: int
    segment_bytes: int


def parse(configs: Mapping[str, str | None]) -> TopicConfigs:
    """Return the settings of a topic whose own configs are these; the rest are defaults.

    Raises:
        Refused: INVALID_CONFIG with the name at fault.
    """
    for name in configs:
        if name not in ALL:
            raise Refused(Code.INVALID_CONFIG, f"unknown topic config name: {name[:100]}")
    values = {name: configs.get(name) or default for name, default in DEFAULTS.items()}
    for name, choices in _CHOICES.items():
        if values[name] not in choices:
            raise Refused(Code.INVALID_CONFIG, f"{name} must be one of {', '.join(sorted(choices))}")
    policy = values["cleanup.policy"].split(",")
    return TopicConfigs(
        compacts="compact" in policy,
        deletes="delete" in policy,
        tombstone_ms=_whole(values, "delete.retention.ms"),
        max_message_bytes=_whole(values, "max.message.bytes"),
        uses_append_time=values["message.timestamp.type"] == "LogAppendTime",
        most_ahead_ms=_whole(values, "message.timestamp.after.max.ms"),
        dirty_ratio=_ratio(values, "min.cleanable.dirty.ratio"),
        retention_bytes=_whole(values, "retention.bytes"),
        retention_ms=_whole(values, "retention.ms"),
        segment_bytes=_whole(values, "segment.bytes"),
    )


def _whole(values: Mapping[str, str], name: str) -> int:
    smallest = _SMALLEST.get(name, 0)
    try:
        value = int(values[name])
    except ValueError:
        value = smallest - 1
    if value < smallest:
        raise Refused(Code.INVALID_CONFIG, f"{name} must be a whole number, at least {smallest}")
    return value


def _ratio(values: Mapping[str, str], name: str) -> float:
    try:
        value = float(values[name])
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise Refused(Code.INVALID_CONFIG, f"{name} must be between 0 and 1")
    return value
