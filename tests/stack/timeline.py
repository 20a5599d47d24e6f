"""From a burst to the webhook and back: when each part of the pipeline knew, in seconds from the burst's onset."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from collector.schema.topics import EPISODES
from tests.stack.prometheus import Prometheus, Webhook

# The alert that says a burst fills an engine's memory. (LLMBurstActive, that there is one, is sent to nobody.)
TOLD = "LLMBurstExhaustsKVCache"


@dataclass(frozen=True)
class Timeline:
    """Unix seconds. ``onset`` and ``over`` are event time: what happened. All others are when a part knew."""

    onset: float
    detected: float
    in_topic_episodes: float
    scraped_by_prometheus: float
    firing_in_prometheus: float
    told_to_webhook: float
    over: float
    end_in_topic_episodes: float
    gone_in_prometheus: float
    resolved_at_webhook: float

    def seconds(self) -> dict[str, float]:
        """Return each step in seconds from the onset."""
        return {name: round(at - self.onset, 2) for name, at in asdict(self).items()}

    def table(self) -> str:
        """Return the steps as lines to print."""
        return "\n".join(f"  {name.replace('_', ' '):<24}{at:>8.2f} s" for name, at in self.seconds().items())


def episode_messages(kafka: str) -> list[tuple[float, dict[str, Any]]]:
    """Return (when Kafka appended it, message) of everything in llm.episodes."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    try:
        partitions = [TopicPartition(EPISODES, p) for p in consumer.partitions_for_topic(EPISODES) or ()]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found = []
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for records in consumer.poll(timeout_ms=500).values():
                found += [(record.timestamp / 1000, json.loads(record.value)) for record in records]
        return sorted(found, key=lambda one: one[0])
    finally:
        consumer.close()


def timeline(kafka: str, prometheus: Prometheus, webhook: Webhook) -> Timeline:
    """Return the story of the burst that was told first; its end is that of the last burst the alert stood for."""
    told, alert = webhook.first(TOLD, "firing") or (0.0, {})
    resolved, _ = webhook.first(TOLD, "resolved") or (0.0, {})
    service = alert["labels"]["service"]
    bursts = [
        (at, message)
        for at, message in episode_messages(kafka)
        if (message["kind"], message["service"]) == ("burst", service)
    ]
    began, onset = [(at, m) for at, m in bursts if m["state"] == "onset" and at < told][-1]
    ended, end = [(at, m) for at, m in bursts if m["state"] == "end" and at < resolved][-1]
    start = onset["onset"] / 1e6
    active = prometheus.times_of_ones(f'burstwatch_burst_active{{service="{service}"}}', start, resolved)
    alerts = f'ALERTS{{alertname="{TOLD}", alertstate="firing", service="{service}"}}'
    firing = prometheus.times_of_ones(alerts, start, resolved)
    return Timeline(
        onset=start,
        detected=onset["detected"] / 1e6,
        in_topic_episodes=began,
        scraped_by_prometheus=active[0],
        firing_in_prometheus=firing[0],
        told_to_webhook=told,
        over=end["end"] / 1e6,
        end_in_topic_episodes=ended,
        gone_in_prometheus=firing[-1],
        resolved_at_webhook=resolved,
    )
