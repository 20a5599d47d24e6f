"""Peer: quixstreams with a tumbling 10-s count per key, event time from the message, in an environment of its own.

python peer_quixstreams.py BOOTSTRAP TOPIC EVENTS FOLDER: prints {"events", "wall_s", "cpu_s", "counts"}.
"""

import json
import sys
import time
from datetime import timedelta

from quixstreams import Application

GRACE = timedelta(seconds=5)


def main(bootstrap: str, topic_name: str, events: str, folder: str) -> None:
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{topic_name}",
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="ERROR",
        use_changelog_topics=False,
        consumer_poll_timeout=0.1,
    )
    began: list[float] = []
    ended: list[float] = []
    counts: dict[str, int] = {}
    left = int(events) + 4  # the last four close the windows

    def event_time(value, _headers, _timestamp, _type) -> int:
        nonlocal left
        if not began:
            began[:] = [time.perf_counter(), time.process_time()]
        left -= 1
        if not left:
            ended[:] = [time.perf_counter(), time.process_time()]
        return value["at"] // 1000

    topic = app.topic(topic_name, value_deserializer="json", key_deserializer="str", timestamp_extractor=event_time)

    def collect(result, key, _timestamp, _headers):
        counts[f"{key} {result['start'] * 1000}"] = result["value"]
        return result

    frame = app.dataframe(topic)
    frame = frame.tumbling_window(timedelta(seconds=10), grace_ms=GRACE).count().final()
    frame.update(collect, metadata=True)
    app.run(timeout=2)
    wall_s, cpu_s = ended[0] - began[0], ended[1] - began[1]
    print(json.dumps({"events": int(events), "wall_s": wall_s, "cpu_s": cpu_s, "counts": counts}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
