"""A pump over a spool in memory, with sources that do as they are told."""

from collector.batcher import Batcher, event_time
from collector.intake import Intake
from collector.outbox import Outbox
from collector.pump import Pump
from collector.schema.codec import decode
from collector.sources.base import request_lane
from collector.spool.record import State, decode_flush
from collector.spool.writer import SpoolRefused

LANE = request_lane("chat")


class Spool:
    """A spool in memory that refuses when told to."""

    def __init__(self):
        self.state = State()
        self.flushes = []
        self.refuses = False

    def append(self, payload, state):
        if self.refuses:
            raise SpoolRefused("full")
        self.flushes.append(decode_flush(payload))
        self.state = state

    def batches(self):
        return [decode(m.body) for flush in self.flushes for m in flush.messages]


class Live:
    """A live source as the pump sees it."""

    def __init__(self, name="live", lane=LANE):
        self.name, self.lane = name, lane


class Recorded:
    """A recorded source: ``events`` in time order, all due at once."""

    def __init__(self, events, name="recorded", lane=LANE, position=0):
        self.name, self.lane, self._events, self.position = name, lane, events, position

    @property
    def exhausted(self):
        return self.position >= len(self._events)

    def take(self, most, _now_s):
        taken = self._events[self.position : self.position + most]
        self.position += len(taken)
        return taken

    def watermark(self, _now_s):
        if self.exhausted:
            return event_time(self._events[-1]) + 15_000_000
        return event_time(self._events[self.position]) - 1

    def checkpoint(self):
        return {"position": self.position}

    def idle_s(self, _now_s):
        return 0.0


def pump_over(spool, *, live=(), recorded=(), batch_max=10, ring_bytes=4_000, intake=None):
    intake = intake or Intake()
    batcher = Batcher(agent="a", boot="b", batch_max=batch_max)
    outbox = Outbox(spool, ring_bytes=ring_bytes)
    pump = Pump(batcher=batcher, outbox=outbox, intake=intake, live=live, recorded=recorded, linger_s=0.2)
    return pump, intake
