"""The window between spool and Kafka: acked moves in order, over whole records, and the accounts add up."""

from hypothesis import given
from hypothesis import strategies as st

from collector.delivery import WINDOW_BYTES, WINDOW_MESSAGES, Delivery
from collector.spool.acked import Acked
from collector.spool.record import Flush, Message, State


class TooLarge(Exception):  # noqa: N818 - as the code under test names its own
    """A permanent refusal."""


class Broker:
    """Collects what is sent; the test answers."""

    def __init__(self):
        self.open = []
        self.aside = []

    def send(self, message, on_done):
        self.open.append((message, on_done))

    def delivery(self, acked=Acked()):  # noqa: B008 - frozen
        return Delivery(
            acked,
            send=self.send,
            is_permanent=lambda error: isinstance(error, TooLarge),
            set_aside=lambda seq, message, _: self.aside.append((seq, message.n)),
        )


def flush_of(spooled, *sizes, body=b"x"):
    messages = [Message(topic="t", key="k", at_ms=0, n=n, body=body) for n in sizes]
    return Flush(messages=messages, state=State(spooled=spooled))


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3), min_size=1, max_size=8), st.randoms())
def test_acks_in_any_order_move_acked_over_whole_records_only(records, rng):
    broker = Broker()
    delivery = broker.delivery()
    total, owner = 0, []
    for seq, sizes in enumerate(records, 1):
        total += sum(sizes)
        delivery.put(seq, flush_of(total, *sizes), 0.0)
        owner += [seq] * len(sizes)
    waiting = list(zip(owner, broker.open, strict=True))
    rng.shuffle(waiting)
    while waiting:
        _, (_, on_done) = waiting.pop()
        on_done(None)
        assert delivery.collect() is None
        unacked = min((seq for seq, _ in waiting), default=len(records) + 1)
        assert delivery.acked.seq == unacked - 1
        assert delivery.acked.sent == sum(map(sum, records[: unacked - 1]))
    assert delivery.in_flight == 0


def test_a_failure_calls_for_a_new_start_behind_what_is_acked():
    broker = Broker()
    delivery = broker.delivery()
    delivery.put(1, flush_of(1, 1), 0.0)
    delivery.put(2, flush_of(3, 2), 0.0)
    delivery.put(3, flush_of(6, 3), 0.0)
    first, second, third = (on_done for _, on_done in broker.open)
    third(None)
    first(None)
    second(OSError("gone"))
    assert isinstance(delivery.collect(), OSError)
    assert delivery.restart() == 1
    assert delivery.in_flight == 0
    second(None)  # late answers of the old producer mean nothing any more
    third(OSError("thrown away"))
    assert delivery.collect() is None
    delivery.put(2, flush_of(3, 2), 9.0)
    delivery.collect()
    assert (delivery.acked.seq, delivery.acked.sent) == (1, 1)
    broker.open[-1][1](None)
    delivery.collect()
    assert (delivery.acked.seq, delivery.acked.sent, delivery.acked.damaged) == (2, 3, 0)


def test_a_message_kafka_never_takes_is_set_aside_and_blocks_nothing():
    broker = Broker()
    delivery = broker.delivery()
    delivery.put(1, flush_of(7, 3, 4), 0.0)
    delivery.put(2, flush_of(8, 1), 0.0)
    for (_, on_done), error in zip(broker.open, [None, TooLarge(), None], strict=True):
        on_done(error)
    assert delivery.collect() is None
    assert broker.aside == [(1, 4)]
    assert (delivery.acked.seq, delivery.acked.sent, delivery.acked.set_aside) == (2, 4, 4)


def test_records_lost_to_damage_are_counted_to_the_event():
    broker = Broker()
    delivery = broker.delivery()
    delivery.put(1, flush_of(5, 5), 0.0)
    delivery.put(4, flush_of(20, 2), 0.0)  # records 2 and 3 held the other 13
    for _, on_done in broker.open:
        on_done(None)
    delivery.collect()
    assert (delivery.acked.sent, delivery.acked.damaged) == (7, 13)


def test_segments_deleted_before_acked_could_be_stored_count_as_sent():
    broker = Broker()
    delivery = broker.delivery(Acked(seq=3, sent=10, state=State(spooled=10)))
    flush = flush_of(25, 5)
    delivery.account_deleted(8, flush)
    delivery.put(8, flush, 0.0)
    broker.open[0][1](None)
    delivery.collect()
    assert (delivery.acked.sent, delivery.acked.damaged) == (25, 0)


def test_the_window_is_bounded_in_messages_and_bytes():
    broker = Broker()
    delivery = broker.delivery()
    for seq in range(1, WINDOW_MESSAGES + 1):
        assert delivery.has_room
        delivery.put(seq, flush_of(seq, 1), 0.0)
    assert not delivery.has_room
    large = Broker().delivery()
    assert large.has_room  # one record always may go, however large
    large.put(1, flush_of(1, 1, body=b"x" * WINDOW_BYTES), 0.0)
    assert not large.has_room
    assert large.oldest_s(5.0) == 5.0
