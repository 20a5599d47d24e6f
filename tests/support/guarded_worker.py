"""A worker with some of its guards off and Faust's race made certain: `python -m ... GUARDS [worker options]`.

The seek takes some seconds and the agent is slow, so that messages sit in its queue when Faust empties it.
"""

import asyncio
import sys

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.cli import parse
from streams.worker import run
from streams.worker.app import Guards, StreamWorker

GUARDS = {
    "none": Guards(seek_first=False, contiguity=False),
    "order": Guards(seek_first=True, contiguity=False),
    "contiguity": Guards(seek_first=False, contiguity=True),
    "both": Guards(),
}


class SlowWorker(StreamWorker):
    async def _requests(self, stream):
        async for event in stream.noack().events():
            await self.flow.on_request(event.message)
            await asyncio.sleep(0.01)


async def slow_seek(self, *, original=AIOKafkaConsumerThread.seek_to_committed):
    await asyncio.sleep(2.5)
    return await original(self)


if __name__ == "__main__":
    AIOKafkaConsumerThread.seek_to_committed = slow_seek
    run.StreamWorker = SlowWorker
    sys.exit(asyncio.run(run.serve(parse(sys.argv[2:]), GUARDS[sys.argv[1]])))
