"""A small Faust app for the conformance suite: counts records per key in a table.

python faust_table_app.py BOOTSTRAP APP_ID TOPIC FOLDER
"""

import asyncio
import json
import sys

import faust


def main(bootstrap: str, app_id: str, topic_name: str, folder: str) -> None:
    app = faust.App(
        app_id, broker=f"kafka://{bootstrap}", store="memory://", datadir=folder, web_enabled=False, autodiscover=False,
        topic_disable_leader=True, topic_replication_factor=1, topic_partitions=4,
        consumer_auto_offset_reset="earliest", producer_linger=0.02, broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
    )  # fmt: skip
    topic = app.topic(
        topic_name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", partitions=4
    )
    counts = app.Table("counts", default=int, partitions=4)

    @app.agent(topic)
    async def count(stream) -> None:
        async for event in stream.events():
            counts[event.key.decode()] += 1

    async def run() -> None:
        app.finalize()
        await app.start()
        shown = None
        while True:
            await asyncio.sleep(0.1)
            now = dict(counts.items()) if not app.rebalancing else None
            if now != shown and now is not None:
                shown = now
                print("TABLE " + json.dumps(now), flush=True)

    asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
