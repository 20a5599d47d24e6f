"""De-duplication of idempotent producers, against a model that remembers everything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burstwatch.broker.batches import Head, advance, head_at
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.producers import Producers
from tests.support.kafka_wire import batch


def head(pid: int, sequence: int, count: int = 1, *, epoch: int = 0, offset: int = 0) -> Head:
    data = batch(*[b"x"] * count, producer_id=pid, epoch=epoch, sequence=sequence)
    made = head_at(data, 0)
    return made._replace(base_offset=offset, last_offset=offset + count - 1)


def offered(producers: Producers, sent: Head) -> int | Code | None:
    try:
        return producers.offset_of_duplicate(sent)
    except Refused as refusal:
        return refusal.code


@given(sends=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=60), reload_at=st.integers(0, 60))
def test_each_batch_is_taken_once_in_order_and_repeats_get_their_offset(sends, reload_at):
    producers, taken, end = Producers(), {}, 0
    for step, (pid, sequence) in enumerate(sends):
        if step == reload_at:
            producers = Producers.restore(json.loads(json.dumps(producers.snapshot())))
        mine = taken.setdefault(pid, {})
        answer = offered(producers, head(pid, sequence))
        recent = sorted(mine)[-5:]
        if sequence in recent:
            assert answer == mine[sequence]
        elif not mine or sequence == recent[-1] + 1:
            assert answer is None
            producers.on_appended(head(pid, sequence, offset=end))
            mine[sequence] = end
            end += 1
        else:
            assert answer is Code.OUT_OF_ORDER_SEQUENCE


def test_a_batch_that_only_begins_like_a_known_one_is_no_duplicate():
    producers = Producers()
    producers.on_appended(head(1, 0, 3))
    assert offered(producers, head(1, 0, 2)) is Code.OUT_OF_ORDER_SEQUENCE


@pytest.mark.parametrize(("epoch", "sequence", "expected"), [
    (1, 0, Code.INVALID_PRODUCER_EPOCH), (3, 0, None), (3, 1, Code.OUT_OF_ORDER_SEQUENCE), (2, 1, None),
])  # fmt: skip
def test_epochs_only_move_forward_and_start_from_zero(epoch, sequence, expected):
    producers = Producers()
    producers.on_appended(head(1, 0, epoch=2))
    assert expected == offered(producers, head(1, sequence, epoch=epoch))


def test_batches_without_a_producer_id_are_never_duplicates():
    producers = Producers()
    producers.on_appended(head(-1, -1))
    assert offered(producers, head(-1, -1)) is None
    assert producers.snapshot() == []


def test_the_producers_silent_for_longest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("burstwatch.broker.producers._REMEMBERED_PRODUCERS", 3)
    producers = Producers()
    for pid in (1, 2, 3, 1, 4):
        sequence = sum(1 for p, _, batches in producers.snapshot() if p == pid for _ in batches)
        producers.on_appended(head(pid, sequence))
    assert [3, 1, 4] == [pid for pid, _, _ in producers.snapshot()]


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_sequences_stay_in_31_bits(sequence, by):
    assert 0 <= advance(sequence, by) < 2**31
    assert advance(sequence, by) == (sequence + by) % 2**31
