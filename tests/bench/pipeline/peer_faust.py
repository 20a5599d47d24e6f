"""Peer: a Faust app as its own tutorial writes one. One event a message, a tumbling 10-s count per service.

python peer_faust.py BOOTSTRAP TOPIC EVENTS FOLDER: prints {"events", "wall_s", "cpu_s", "counts"} when all are counted.
"""

import asyncio
import json
import os
import sys
import time

import faust

PANE = 10_000_000


class Request(faust.Record, serializer="json"):
    """One event."""

    service: str
    kind: str
    at: int


def main(bootstrap: str, topic_name: str, events: str, folder: str) -> None:
    app = faust.App(
        f"naive-{topic_name}", broker=f"kafka://{bootstrap}", store="memory://", datadir=folder, web_enabled=False,
        autodiscover=False, topic_disable_leader=True, topic_replication_factor=1, topic_partitions=4,
        consumer_auto_offset_reset="earliest", stream_recovery_delay=0.0, stream_wait_empty=False,
        producer_linger=0.02,
    )  # fmt: skip
    topic = app.topic(topic_name, key_type=bytes, value_type=Request, partitions=4)
    counts = app.Table("counts", default=int, partitions=4).tumbling(10.0)
    seen: dict[str, int] = {}  # what the windowed table forgets in time, for the comparison
    began: list[float] = []

    @app.agent(topic)
    async def count(stream) -> None:
        async for request in stream:
            if not began:
                began[:] = [time.perf_counter(), time.process_time()]
            if request.kind != "end":
                counts[request.service] += 1
                cell = f"{request.service} {request.at // PANE * PANE}"
                seen[cell] = seen.get(cell, 0) + 1

    async def run() -> None:
        app.finalize()
        await app.start()
        while sum(seen.values()) < int(events):
            await asyncio.sleep(0.02)
        wall_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
        print(json.dumps({"events": int(events), "wall_s": wall_s, "cpu_s": cpu_s, "counts": seen}), flush=True)
        os._exit(0)  # Faust's own stop takes a minute here

    asyncio.run(asyncio.wait_for(run(), 120))


if __name__ == "__main__":
    main(*sys.argv[1:])
