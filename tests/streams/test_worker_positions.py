"""Where the worker's reader is moved: by what the state wants and what the log still holds."""

import asyncio
from types import SimpleNamespace

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from streams.worker.faust_consumer import StatefulConsumer

PARTITION = TP("llm.requests", 0)


class Log:
    """The consumer's thread, positions and seeks, without Kafka."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end
        self.away = False
        self.told: list[tuple] = []
        self.sought: list[int] = []
        self.consumer = object.__new__(StatefulConsumer)
        self.consumer.__dict__.update(
            transport=SimpleNamespace(positions=self),
            assignment=lambda: {PARTITION},
            seek_wait=self.seek_wait,
            _thread=self,
            _rewinds={},
            _sought={},
            _suspected_holes={},
        )

    async def bounds(self, tps):
        if self.away:
            raise KafkaConnectionError
        return dict.fromkeys(tps, self.first), dict.fromkeys(tps, self.end)

    async def seek_wait(self, targets):
        self.sought += targets.values()

    def log_resumes_at(self, _tp, offset):
        self.told.append(("resumes", offset))

    def log_was_replaced(self, _tp):
        self.told.append(("replaced",))

    def moved(self, _tp):
        self.told.append(("moved",))

    def move(self, offset: int | None):
        asyncio.run(self.consumer._move({PARTITION: offset}))
        return self.sought, self.told


def test_it_reads_from_where_the_state_is():
    assert Log(3, 9).move(5) == ([5], [])
    assert Log(3, 9).move(9) == ([9], [])


def test_what_retention_took_is_told_and_passed_over():
    assert Log(3, 9).move(1) == ([3], [("resumes", 3)])
    assert Log(3, 9).move(None) == ([3], [("resumes", 3)])


def test_a_log_that_ends_before_the_state_is_a_new_one():
    assert Log(0, 4).move(5) == ([0], [("replaced",)])
    assert Log(2, 4).move(5) == ([2], [("replaced",), ("resumes", 2)])


def test_a_rewind_is_asked_again_until_kafka_answers():
    log = Log(0, 9)
    log.consumer.rewind(PARTITION, 4)
    log.away = True
    asyncio.run(log.consumer._carry_out_rewinds())
    assert (log.sought, log.told) == ([], [])
    log.away = False
    asyncio.run(log.consumer._carry_out_rewinds())
    assert (log.sought, log.told) == ([4], [("moved",)])
    asyncio.run(log.consumer._carry_out_rewinds())
    assert log.sought == [4]


def test_a_hole_behind_a_seek_is_believed_the_second_time():
    log = Log(0, 9)
    log.move(4)
    assert not log.consumer._follows(PARTITION, 6)  # perhaps fetched before the seek
    asyncio.run(log.consumer._carry_out_rewinds())
    assert log.consumer._follows(PARTITION, 6)
    assert log.told == [("moved",), ("resumes", 6)]
    assert log.consumer._follows(PARTITION, 7)
