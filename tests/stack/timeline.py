"""From the burst to the webhook: when each part of the pipeline knew, in seconds from the burst's onset."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from collector.schema.topics import EPISODES
from tests.stack.prometheus import Prometheus, Webhook

BURST = "LLMBurstActive"


@dataclass(frozen=True)
class Timeline:
    """Unix seconds. ``onset`` and ``ended`` are event time (what happened), all others when a part knew."""

    onset: float
    detected: float
    told_in_kafka: float
    firing_in_prometheus: float
    firing_at_webhook: float
    ended: float
    told_ended_in_kafka: float
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
    """Return the story of the burst whose alert came first; its end is that of the last one the alert stood for."""
    notified, alert = webhook.first(BURST, "firing") or (0.0, {})
    resolved, _ = webhook.first(BURST, "resolved") or (0.0, {})
    service = alert["labels"]["service"]
    bursts = [
        (at, message)
        for at, message in episode_messages(kafka)
        if (message["kind"], message["service"]) == ("burst", service)
    ]
    told, onset = next((at, m) for at, m in bursts if m["state"] == "onset")
    told_end, end = [(at, m) for at, m in bursts if m["state"] == "end" and at < resolved][-1]
    alerts = f'ALERTS{{alertname="{BURST}", alertstate="firing", service="{service}"}}'
    times = sorted(at for _, stamps in prometheus.samples(alerts, "1h") for at in stamps)
    return Timeline(
        onset=onset["onset"] / 1e6,
        detected=onset["detected"] / 1e6,
        told_in_kafka=told,
        firing_in_prometheus=times[0],
        firing_at_webhook=notified,
        ended=end["end"] / 1e6,
        told_ended_in_kafka=told_end,
        gone_in_prometheus=max(at for at in times if at <= resolved),
        resolved_at_webhook=resolved,
    )
