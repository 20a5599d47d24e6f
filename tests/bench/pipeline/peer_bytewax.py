"""Peer: bytewax with a tumbling 10-s count per key, event time from the message, in an environment of its own.

python peer_bytewax.py BOOTSTRAP TOPIC EVENTS FOLDER: prints {"events", "wall_s", "cpu_s", "counts"}.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

ALIGN = datetime(2023, 1, 1, tzinfo=UTC)
PANE_S = 10


def main(bootstrap: str, topic_name: str, events: str, _folder: str) -> None:
    began: list[float] = []
    found: list[tuple[str, tuple[int, int]]] = []

    def parse(message) -> dict:
        if not began:
            began[:] = [time.perf_counter(), time.process_time()]
        return orjson.loads(message.value)

    flow = Dataflow("count")
    source = KafkaSource([bootstrap], [topic_name], tail=False, batch_size=5000)
    rows = op.map("parse", op.input("in", flow, source), parse)
    rows = op.filter("no-ends", rows, lambda row: row["kind"] != "end")
    clock = win.EventClock(lambda row: datetime.fromtimestamp(row["at"] / 1e6, UTC), timedelta(seconds=10))
    windower = win.TumblingWindower(length=timedelta(seconds=PANE_S), align_to=ALIGN)
    counted = win.count_window("count", rows, clock, windower, key=lambda row: row["service"])
    op.output("out", counted.down, TestingSink(found))
    run_main(flow)
    wall_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    align_us = int(ALIGN.timestamp()) * 1_000_000
    counts = {f"{key} {align_us + pane * PANE_S * 1_000_000}": n for key, (pane, n) in found}
    print(json.dumps({"events": int(events), "wall_s": wall_s, "cpu_s": cpu_s, "counts": counts}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
