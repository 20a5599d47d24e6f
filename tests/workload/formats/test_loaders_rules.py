"""Each profile and tool format against its loader's rules, written down from the loader's own source.

tests/loaders/ runs the tools themselves where they are installed; these run everywhere.
"""

import csv
import io
import json
from dataclasses import replace

import pytest

from collector.schema.trace_profiles import PROFILES
from collector.schema.trace_rows import TraceRow
from tests.support.shared_data import shared
from workload.formats.convert import Wanted, converted
from workload.formats.reading import Reading
from workload.formats.record import Record
from workload.formats.registry import FORMATS, TARGETS
from workload.formats.told import Told

ROWS = [
    Record(submitted_us=19_440_110_000_000, session="s1", elapsed_us=43_000_000, model="GPT-4", request_tokens=906,
           response_tokens=446, log_type="Conversation log"),
    Record(submitted_us=19_440_110_250_000, model="ChatGPT", request_tokens=36, response_tokens=29, log_type="API log"),
    Record(submitted_us=19_440_111_000_000, model="ChatGPT", request_tokens=0, response_tokens=0, log_type="API log"),
    Record(submitted_us=19_440_112_000_000, model="m", request_tokens=8, response_tokens=5, outcome="failed"),
    Record(submitted_us=19_440_113_000_000, model="m", request_tokens=None, response_tokens=5),
    Record(submitted_us=19_440_114_000_000, model="m", request_tokens=5, response_tokens=None),
    Record(submitted_us=19_440_115_000_000, session="s1", model="m", request_tokens=0, response_tokens=5),
    Record(submitted_us=19_440_116_000_000, session="s1", model="m", request_tokens=1300, response_tokens=5,
           hash_ids=(4, 5, 6), block_tokens=512),
]  # fmt: skip
USABLE = [(906, 446), (36, 29), (1300, 5)]
TIMES_S = [0.0, 0.25, 6.0]


def _made(name, rows=ROWS, **wanted):
    told, target = Told(), TARGETS[name]
    data = b"".join(target.encode(converted(rows, FORMATS["burstgpt-8"], target, Wanted(**wanted), told), told))
    return data.decode(), told


def _csv(name):
    return list(csv.reader(io.StringIO(_made(name)[0])))


def _objects(name):
    return [json.loads(line) for line in _made(name)[0].splitlines()]


def test_vllm_finds_its_lengths_in_the_third_and_fourth_cell_of_gpt4_rows():
    """vllm/benchmarks/datasets/burstgpt.py at 237145e: df[df.Model == "GPT-4"], then [2] and [3] of each row."""
    header, *rows = _csv("vllm")
    rows = [row for row in rows if row[header.index("Model")] == "GPT-4"]
    rows = [row for row in rows if float(row[header.index("Response tokens")]) > 0]
    assert USABLE == [(int(row[2]), int(row[3])) for row in rows]


def test_the_paper_profile_breaks_vllm_so_that_profile_is_needed():
    with pytest.raises(ValueError, match="GPT-4"):
        int(_csv("paper")[1][3])


def test_aiperf_parses_every_row_and_none_asks_for_zero_tokens():
    """aiperf loader/burst_gpt.py at 1acb369: float and two ints by name, else the row is skipped; max_tokens >= 1."""
    rows = list(csv.DictReader(io.StringIO(_made("aiperf")[0])))
    parsed = [(float(r["Timestamp"]), int(r["Request tokens"]), int(r["Response tokens"])) for r in rows]
    assert USABLE == [row[1:] for row in parsed]
    assert TIMES_S == [row[0] for row in parsed]
    assert all(row[2] >= 1 for row in parsed)


def test_guidellm_finds_no_empty_cell_and_no_output_without_an_end():
    """guidellm trace_common.py (0.8.1): null cells of its columns refuse the file; output_tokens 0 has no limit."""
    rows = list(csv.DictReader(io.StringIO(_made("guidellm")[0])))
    for name in ("Timestamp", "Request tokens", "Response tokens"):
        assert all(row[name] for row in rows)
    assert TIMES_S == [float(row["Timestamp"]) for row in rows]
    assert all(int(row["Response tokens"]) > 0 for row in rows)
    assert "43" == rows[0]["Elapsed time"]


def test_the_papers_example_indexes_its_table_with_both_lengths_and_starts_at_once():
    """HPMLL/BurstGPT server.py at f5ed893: pandas keeps ints only without blanks; sleeps until each Timestamp."""
    rows = list(csv.DictReader(io.StringIO(_made("burstgpt-example")[0])))
    table = [[0] * 1024 for _ in range(1024)]
    for row in rows:
        table[min(int(row["Request tokens"]), 1023)][min(int(row["Response tokens"]), 1023)] += 1
    assert len(USABLE) == sum(map(sum, table))
    assert 0.0 == float(rows[0]["Timestamp"])
    assert {"API log", "Conversation log"} >= {row["Log Type"] for row in rows if row["Log Type"]}


def test_vllms_timed_trace_gets_prompts_of_their_full_length():
    """vllm 0.32.0 datasets.py TimedTrace: 16 tokens an id, nothing fills up missing ones; seconds; no null length."""
    rows = _objects("vllm-timed")
    assert USABLE == [(row["input_length"], row["output_length"]) for row in rows]
    assert TIMES_S == [float(row["timestamp"]) for row in rows]
    for row in rows:
        left = row["input_length"]
        for _ in row["hash_ids"]:
            left -= min(left, 16)
        assert 0 == left


@pytest.mark.parametrize("name", ["mooncake", "aiperf-mooncake"])
def test_mooncake_rows_have_one_id_for_each_begun_block_of_512(name):
    """guidellm trace_mooncake.py (0.8.1): ceil(input_length / 512) == len(hash_ids) >= 0; milliseconds."""
    rows = _objects(name)
    assert [1000 * s for s in TIMES_S] == [row["timestamp"] for row in rows]
    for row in rows:
        if name == "mooncake" or "hash_ids" in row:
            assert -(-row["input_length"] // 512) == len(row["hash_ids"])
        assert row["output_length"] >= 1


def test_aiperf_keeps_sessions_and_makes_up_no_prompt():
    rows = _objects("aiperf-mooncake")
    assert ["s1", None, "s1"] == [row.get("session_id") for row in rows]
    assert [False, False, True] == ["hash_ids" in row for row in rows]


def _dynamo_accepts(rows):
    """lib/data-gen/src/request_trace/load.rs at 04daeb0, request_entry and LoadedAgentTrace::mode."""
    for row in rows:
        request, replay = row["request"], row["request"]["replay"]
        assert "dynamo.request.trace.v1" == row["schema"]
        assert "request_end" == row["event_type"]
        assert all(type(row_ms) is int for row_ms in (row["event_time_unix_ms"], request["request_received_ms"]))
        assert replay["trace_block_size"] > 0
        assert -(-replay["input_length"] // replay["trace_block_size"]) == len(replay["input_sequence_hashes"])
        assert request["output_tokens"] is not None
    assert len(rows) == len({row["request"]["request_id"] for row in rows})
    assert 1 == len({"agent_context" in row for row in rows})


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:], ROWS[:2]])
def test_dynamo_accepts_what_is_written(rows):
    text, told = _made("dynamo", rows=rows)
    objects = [json.loads(line) for line in text.splitlines()]
    assert objects
    _dynamo_accepts(objects)
    assert told.written == len(objects)


def test_dynamo_tells_sessions_it_had_to_drop_or_to_make_up():
    assert 1 == _made("dynamo", rows=ROWS[:2])[1].changed["a session of its own for a request without one"]
    dropped = _made("dynamo", rows=ROWS[1:])[1].dropped
    assert [1] == [n for what, n in dropped.items() if what.startswith("session")]


def test_what_was_left_out_is_told_with_its_reason():
    refused = _made("aiperf")[1].refused
    assert {
        "failed (0 response tokens)": 2,
        "request tokens unknown": 1,
        "response tokens unknown": 1,
        "0 request tokens": 1,
    } == refused
    assert {"failed": 2, "request tokens unknown": 1, "response tokens unknown": 1, "0 tokens": 1} == _made("mooncake")[
        1
    ].refused


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_applied_by_hand_gives_what_the_conversion_writes(name):
    """`trace export --profile` uses Profile.apply, `trace convert --to` the writer: one file."""
    profile = PROFILES[name]
    rows = [TraceRow(submitted_us=r.submitted_us, session=r.session, elapsed_us=r.elapsed_us, model=r.model,
                     request_tokens=r.request_tokens, response_tokens=0 if r.outcome == "failed" else r.response_tokens,
                     log_type=r.log_type) for r in ROWS]  # fmt: skip
    first_us = next(row.submitted_us for row in rows if profile.refuses(row) is None)
    by_hand = [new for row in rows if (new := profile.apply(row, first_us=first_us)) is not None]
    text = _made(name)[0]
    read = FORMATS["burstgpt-8"].read(text.encode().splitlines(keepends=True), Reading(strict=True))
    kept = {"session", "elapsed_us"} if "Session ID" in profile.columns else set()
    blank = {} if kept else {"session": None, "elapsed_us": None}
    assert [replace(row, **blank) for row in by_hand] == [
        TraceRow(**{n: getattr(r, n) for n in ("submitted_us", "session", "elapsed_us", "model", "request_tokens",
                                               "response_tokens", "log_type")}) for r in read
    ]  # fmt: skip


def test_whole_seconds_cut_both_times_and_say_so():
    cut = replace(PROFILES["paper"], whole_seconds=True)
    row = TraceRow(submitted_us=5_900_000, elapsed_us=1_900_000)
    assert (5_000_000, 1_000_000) == (cut.apply(row).submitted_us, cut.apply(row).elapsed_us)
    text, told = _made("paper", whole_seconds=True)
    assert 1 == told.changed["times cut to whole seconds"]
    assert all("." not in line.split(",")[0] for line in text.splitlines()[1:])


def test_a_row_before_the_first_is_an_error_of_the_caller():
    with pytest.raises(ValueError, match="sort the rows"):
        PROFILES["aiperf"].apply(TraceRow(submitted_us=1, request_tokens=1, response_tokens=1), first_us=2)


def test_every_profile_of_the_real_rows_keeps_all_but_the_failure():
    with shared("burstgpt/burstgpt1_first30_rows.csv").open("rb") as lines:
        rows = list(FORMATS["burstgpt-6"].read(lines, Reading(strict=True)))
    for name, profile in PROFILES.items():
        text = _made(name, rows=rows)[0]
        assert (29 if profile.only_usable else 30) == len(text.splitlines()) - 1
