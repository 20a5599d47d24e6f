"""The outbox: a result is Kafka's, or still ours, or counted as refused; there is no fourth."""

import asyncio

from streams.worker import outbox as outbox_module
from streams.worker.outbox import Outbox, Parcel


class AwayError(Exception):
    retriable = True


class RefusedError(Exception):
    retriable = False


class Producer:
    """Answers each send with the next of ``answers`` (None: delivered), then delivers."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.delivered: list[bytes] = []

    async def send(self, parcel: Parcel) -> None:
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else None
        if answer == "hang":
            await asyncio.Event().wait()
        if answer is not None:
            raise answer
        self.delivered.append(parcel.value)


def parcels(*names: bytes) -> list[Parcel]:
    return [Parcel("t", b"k", name) for name in names]


def test_what_fails_for_a_passing_reason_is_sent_again_until_it_is_there(monkeypatch):
    monkeypatch.setattr(outbox_module, "RETRY_PAUSE_S", 0)

    async def run():
        producer = Producer(AwayError(), None, OSError(), AwayError())
        outbox = Outbox(producer.send)
        for parcel in parcels(b"a", b"b", b"c"):
            outbox.put(parcel)
        await outbox.delivered()
        return producer, outbox

    producer, outbox = asyncio.run(run())
    assert sorted(producer.delivered) == [b"a", b"b", b"c"]
    assert (len(outbox), outbox.refused) == (0, 0)


def test_what_kafka_refuses_for_good_is_counted_and_holds_up_nothing():
    async def run():
        producer = Producer(RefusedError())
        outbox = Outbox(producer.send)
        for parcel in parcels(b"a", b"b"):
            outbox.put(parcel)
        await outbox.delivered()
        return producer, outbox

    producer, outbox = asyncio.run(run())
    assert producer.delivered == [b"b"]
    assert (len(outbox), outbox.refused) == (0, 1)


def test_a_wait_that_is_given_up_leaves_the_messages_with_the_outbox():
    async def run():
        producer = Producer(None, "hang")
        outbox = Outbox(producer.send)
        for parcel in parcels(b"a", b"b"):
            outbox.put(parcel)
        waiting = asyncio.ensure_future(outbox.delivered())
        for _ in range(5):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(outbox) == 2
        again = asyncio.ensure_future(outbox.delivered())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not again.done()
        again.cancel()

    asyncio.run(run())


def test_a_send_that_was_cancelled_is_done_again(monkeypatch):
    monkeypatch.setattr(outbox_module, "RETRY_PAUSE_S", 0)

    async def run():
        producer = Producer(asyncio.CancelledError())
        outbox = Outbox(producer.send)
        outbox.put(*parcels(b"a"))
        await outbox.delivered()
        return producer

    assert asyncio.run(run()).delivered == [b"a"]
