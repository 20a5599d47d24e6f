"""Whatever a format has room for comes back as it was; what it has not is said."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.schema.trace_profiles import PROFILES
from tests.support.trace_records import BY_FORMAT
from workload.formats.blocks import INVENTED, REPLACED, SPLIT, Blocks
from workload.formats.convert import Wanted, converted
from workload.formats.reading import Reading
from workload.formats.record import COLUMNS, Record
from workload.formats.registry import FORMATS, TARGETS, detect
from workload.formats.told import Told

LINES = [name for name, form in FORMATS.items() if form.encode is not None]


def _read(form, data):
    return list(form.read(data.splitlines(keepends=True), Reading(strict=True)))


def test_every_format_is_held_to_the_law():
    assert set(FORMATS) == set(BY_FORMAT)


@pytest.mark.parametrize("name", LINES)
def test_what_a_format_holds_comes_back(name):
    form = FORMATS[name]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(BY_FORMAT[name])
    def law(records):
        told = Told()
        assert records == _read(form, b"".join(form.encode(records, told)))
        assert not told.changed
        assert not told.dropped

    law()


EVERYTHING = Record(
    submitted_us=1_700_000_000_000_000,
    session="41",
    elapsed_us=2_500_000,
    first_token_us=125_000,
    model="GPT-4",
    request_tokens=600,
    response_tokens=7,
    cached_tokens=16,
    log_type="Conversation log",
    service="chat",
    outcome="cancelled",
    reason="client_disconnect",
    request_id="41",
    hash_ids=(3, 9),
    other={"type": "text", "turn": 1, "parent_session": "p", "ragpulse_ids": {"history": (4,)}, "http_status": 499,
           "reasoning_tokens": 2, "stream": True, "source": "proxy", "node": "n1", "finish_reason": "abort",
           "reason_raw": "gone"},
)  # fmt: skip


@pytest.mark.parametrize("name", [*LINES, *PROFILES])
def test_columns_named_as_held_are_exactly_those_that_come_back(name):
    form = TARGETS[name]
    size = {"vllm-timed": 16, "bailian": 16, "dynamo": 300}.get(name, 512)
    full = EVERYTHING._replace(block_tokens=size)
    (back,) = _read(FORMATS.get(name, FORMATS["burstgpt-8"]), b"".join(form.encode([full], Told())))
    same = {column for column in COLUMNS[:-1] if getattr(full, column) == getattr(back, column) is not None}
    same |= {key for key, value in (back.other or {}).items() if value == full.other[key]}
    assert form.holds == same


@pytest.mark.parametrize("name", [name for name in LINES if name != "aiperf-mooncake"])  # needs a session to be told
def test_a_written_file_is_known_again(name, tmp_path):
    form, path = FORMATS[name], tmp_path / f"trace{FORMATS[name].suffix}"
    record = Record(submitted_us=1_000_000, request_tokens=600, response_tokens=7, session="s")
    path.write_bytes(b"".join(form.encode([record], Told())))
    assert name == detect(path)


@settings(max_examples=25, deadline=None)
@given(st.lists(BY_FORMAT["sidecar"], max_size=1), st.sampled_from(sorted(TARGETS)))
def test_every_value_that_does_not_come_back_is_counted(lists, name):
    """For each column: values in = values that come back + values told as dropped (or their rows as refused)."""
    target = TARGETS[name]
    records = [record for records in lists for record in records]
    told = Told()
    kept = list(converted(records, FORMATS["sidecar"], target, Wanted(reorder_rows=None), told))
    assert len(records) == len(kept) + sum(told.refused.values())
    for column in set(COLUMNS) - {"outcome", "other", "block_tokens"}:
        there = sum(getattr(record, column) is not None for record in kept)
        assert there == told.dropped[column] + (there if column in target.holds else 0)
    if "outcome" not in target.holds:
        untold = [r for r in kept if r.outcome == "cancelled" or (r.outcome == "failed" and not target.marks_failures)]
        assert len(untold) == sum(n for what, n in told.dropped.items() if what.startswith("outcome"))


def _prompt(*ids, tokens, size):
    return Record(submitted_us=0, request_tokens=tokens, response_tokens=1, hash_ids=ids or None, block_tokens=size)


def test_blocks_split_share_exactly_what_they_shared():
    """Two prompts with one 512-token block in common have its 32 blocks of 16 tokens in common, and no other."""
    told = Told()
    small = Blocks(told, 16)
    one, two = small.of(_prompt(7, 8, tokens=700, size=512)), small.of(_prompt(7, 9, tokens=1024, size=512))
    assert (44, 64) == (len(one), len(two))
    assert one[:32] == two[:32]
    assert not set(one[32:]) & set(two[32:])
    assert 2 == told.changed[SPLIT]
    twice, next_id = small.of(_prompt(7, 7, tokens=1024, size=512)), small.of(_prompt(8, tokens=512, size=512))
    assert not set(twice) & set(next_id)


def test_blocks_made_up_are_as_many_as_begun_and_nobody_elses():
    told = Told()
    made = Blocks(told, 512)
    first, second, known = (
        made.of(_prompt(tokens=1025, size=None)),
        made.of(_prompt(tokens=1, size=None)),
        made.of(_prompt(0, 1, tokens=600, size=512)),
    )
    assert [0, 1, 2] == first
    assert [3] == second
    assert not set(known) & {*first, *second}
    assert 2 == told.changed[INVENTED]


def test_small_blocks_cannot_become_large_ones():
    told = Told()
    assert 1 == len(Blocks(told, 512).of(_prompt(1, 2, tokens=30, size=16)))
    assert 1 == told.changed[REPLACED]
