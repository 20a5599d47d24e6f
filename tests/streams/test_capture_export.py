"""Export: any rows through batches and segments come back as they went in, once, in order, with honest counts."""

import csv
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.cli import main as burstwatch
from burstwatch.verbs import trace_main as trace
from collector.schema.errors import OperatorError
from collector.schema.events import API_LOG, CONVERSATION_LOG, Completion, Kind
from collector.schema.trace_rows import BURSTGPT_6, BURSTGPT_8, TraceRow, read_rows
from streams.capture.export import Wanted, export, list_segments
from streams.capture.export_cli import main as export_main
from streams.capture.files import DiskFolder, lock_folder
from streams.capture.instants import parse_instant
from streams.capture.rows import Only
from streams.capture.writer import Rotation, SegmentWriter
from tests.support.events import completion, events
from tests.support.fake_log import heartbeat, message
from tests.support.shared_data import shared

DAY = 86_400_000_000
SECOND = 1_000_000
FIVE = Rotation(events=5)


def capture(path: Path, partitions: dict[int, list[bytes]], rotation: Rotation = FIVE) -> Path:
    """Write the bodies as a capture would; returns the folder."""
    path.mkdir(exist_ok=True)
    lock_folder(path).close()
    writer = SegmentWriter(DiskFolder(path), "llm.requests", rotation)
    for partition, bodies in partitions.items():
        for offset, body in enumerate(bodies):
            writer.add(partition, offset, body)
    for partition in writer.open_partitions():
        writer.finish(partition)
    return path


def exported(folder: Path, **wanted) -> tuple[list[TraceRow], list[dict], dict]:
    """Export and read all three files back."""
    out = folder / "trace.csv"
    wanted = {"columns": BURSTGPT_8, "origin_us": 0, **wanted}
    export(list_segments(folder), folder, out, Wanted(**wanted))
    with out.open(newline="") as lines:
        _, rows = read_rows(lines)
        table = list(rows)
    sidecar = [orjson.loads(line) for line in (folder / "trace.sidecar.jsonl").read_bytes().splitlines()]
    return table, sidecar, json.loads((folder / "trace.manifest.json").read_text())


def as_trace(row: Completion) -> TraceRow:
    """What the paper's columns say of a completion, written down independently of the exporter."""
    return TraceRow(
        submitted_us=row.submitted_at,
        session=row.session,
        elapsed_us=None if row.ended_at is None else max(row.ended_at - row.submitted_at, 0),
        model=row.model,
        request_tokens=row.request_tokens,
        response_tokens=0 if row.outcome == "failed" else row.response_tokens,
        log_type=row.log_type,
    )


SENDS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(events(Kind.COMPLETION), max_size=4), st.booleans()), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(sends=SENDS, per_segment=st.integers(1, 9))
def test_any_rows_through_batches_and_segments_come_back_equal(tmp_path_factory, sends, per_segment):
    """Also when messages arrive twice, in other segments, with empty batches between."""
    folder = tmp_path_factory.mktemp("law")
    partitions: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    truth, again = [], []
    for seq, (partition, rows, twice) in enumerate(sends):
        body = message(rows, seq=seq, key=f"s{partition}")
        partitions[partition].append(body)
        truth += [(row.submitted_at, row.id, f"s{partition}", row) for row in rows]
        if twice:
            again.append((partition, body))
    for partition, body in again:
        partitions[partition].append(body)
    capture(folder, partitions, Rotation(events=per_segment))
    table, sidecar, about = exported(folder)

    truth.sort(key=lambda item: item[:3])
    assert sorted(map(repr, table)) == sorted(repr(as_trace(row)) for *_, row in truth)
    assert [(row["submitted_at"], row["id"]) for row in sidecar] == [item[:2] for item in truth]
    assert [row.submitted_us for row in table] == [item[0] for item in truth]
    as_json = [orjson.dumps({"service": service, **asdict(row)}) for _, _, service, row in truth]
    assert sorted(map(orjson.dumps, sidecar)) == sorted(as_json)
    assert about["rows"]["total"] == len(truth)
    assert about["messages"]["duplicates_dropped"] == sum(bool(orjson.loads(body)["n"]) for _, body in again)


def test_rows_of_one_instant_keep_the_order_of_their_ids(tmp_path: Path):
    rows = [completion(7, id=f"r{n:03d}", response_tokens=n + 1) for n in range(40)]
    bodies = [message(rows[i : i + 4][::-1], seq=i) for i in range(0, 40, 4)]
    table, _, _ = exported(capture(tmp_path, {0: bodies[::-1]}))
    assert [row.response_tokens for row in table] == list(range(1, 41))


def test_a_long_request_of_an_early_hour_is_sorted_before_segments_of_later_hours(tmp_path: Path):
    """Segments follow completion; the trace follows submission."""
    hours = [message([completion(h * 3600 * SECOND, id=f"h{h}")], seq=h) for h in range(1, 20)]
    late = message([completion(5 * SECOND, id="slow", ended_at=20 * 3600 * SECOND)], seq=20)
    _, sidecar, _ = exported(capture(tmp_path, {0: [*hours, late]}, Rotation(events=2)))
    assert [row["id"] for row in sidecar] == ["slow", *(f"h{h}" for h in range(1, 20))]


def test_timestamps_count_from_midnight_of_the_first_day_with_their_fraction(tmp_path: Path):
    start = 20_000 * DAY + 3661 * SECOND + 250_000
    folder = capture(tmp_path, {0: [message([completion(start), completion(start + 2 * DAY)], seq=0)]})
    table, _, about = exported(folder, origin_us=None)
    assert [row.submitted_us for row in table] == [3_661_250_000, 2 * DAY + 3_661_250_000]
    assert (folder / "trace.csv").read_text().splitlines()[1].startswith("3661.25,")
    assert about["origin"] == "2024-10-04T00:00:00.000000+00:00"
    assert about["time_range"]["first"] == "2024-10-04T01:01:01.250000+00:00"


def test_whole_seconds_are_cut_not_rounded(tmp_path: Path):
    row = completion(1_999_999, ended_at=1_999_999 + 2_999_999)
    table, sidecar, _ = exported(capture(tmp_path, {0: [message([row], seq=0)]}), whole_seconds=True)
    assert (table[0].submitted_us, table[0].elapsed_us) == (SECOND, 2 * SECOND)
    assert sidecar[0]["submitted_at"] == 1_999_999


def test_failures_have_zero_response_tokens_and_unknowns_are_empty_cells(tmp_path: Path):
    rows = [
        completion(1, outcome="failed", reason="overloaded", response_tokens=17, model="m", ended_at=None),
        completion(2, outcome="failed", reason="timeout", request_tokens=None, response_tokens=None),
        completion(3, outcome="cancelled", reason="client_disconnect", response_tokens=4),
        completion(4, outcome="cancelled", reason="client_disconnect", response_tokens=None),
        completion(5, session="s-1", log_type=CONVERSATION_LOG),
        completion(6, ended_at=2),
    ]
    folder = capture(tmp_path, {0: [message(rows, seq=0)]})
    _, sidecar, about = exported(folder)
    with (folder / "trace.csv").open(newline="") as lines:
        cells = list(csv.reader(lines))
    assert cells == [
        list(BURSTGPT_8),
        ["0.000001", "", "", "m", "10", "0", "10", API_LOG],
        ["0.000002", "", "1", "", "", "0", "", API_LOG],
        ["0.000003", "", "1", "", "10", "4", "14", API_LOG],
        ["0.000004", "", "1", "", "10", "", "", API_LOG],
        ["0.000005", "s-1", "1", "", "10", "5", "15", CONVERSATION_LOG],
        ["0.000006", "", "0", "", "10", "5", "15", API_LOG],
    ]
    assert sidecar[0]["response_tokens"] == 17
    assert about["rows"]["by_outcome"] == {"failed": 2, "cancelled": 2, "ok": 2}
    assert about["rows"]["by_reason"] == {"overloaded": 1, "timeout": 1, "client_disconnect": 2}
    assert about["rows"]["unknown"] == {
        "model": 5,
        "ended_at": 1,
        "request_tokens": 1,
        "response_tokens": 2,
    }


def test_names_that_look_like_json_do_not_break_the_sidecar(tmp_path: Path):
    hostile = ['},{"service":', '},{\\"service\\":', '"},{"', "},{", "\\", '\\"', "}\\n{"]
    rows = [completion(i, id=f"{i}{name}", model=name, session=name[::-1]) for i, name in enumerate(hostile)]
    bodies = [message([row], seq=i, key=hostile[i]) for i, row in enumerate(rows)]
    table, sidecar, _ = exported(capture(tmp_path, {0: bodies}))
    assert [row.model for row in table] == hostile
    assert [(row["service"], row["model"], row["id"]) for row in sidecar] == [
        (name, name, f"{i}{name}") for i, name in enumerate(hostile)
    ]


def test_six_columns_leave_out_session_and_elapsed_time(tmp_path: Path):
    folder = capture(tmp_path, {0: [message([completion(5 * SECOND, model="GPT-4")], seq=0)]})
    exported(folder, columns=BURSTGPT_6)
    assert (folder / "trace.csv").read_text() == ",".join(BURSTGPT_6) + "\n5,GPT-4,10,5,15,API log\n"


def test_the_manifest_names_every_known_loss(tmp_path: Path):
    bodies = [
        message([completion(1)], seq=3, dropped=2),
        heartbeat(seq=4, watermark=1, dropped=5),
        b"junk",
        message([completion(2)], seq=8, dropped=5),
        message([completion(2)], seq=8, dropped=5),
        message([completion(3)], seq=0, boot="b2"),
        message([completion(4)], seq=0, key="other", dropped=9),
    ]
    folder = capture(tmp_path, {0: bodies, 1: [heartbeat(seq=0, watermark=1, key="p1")] * 2}, Rotation(events=1))
    (folder / "llm.requests-0-00000000000000000004-00000000000000000004.seg").unlink()
    _, _, about = exported(folder, only=Only(service="chat"))
    first, second = about["loss"]["streams"]
    assert (first["first_seq"], first["last_seq"], first["missing"]) == (3, 8, [[5, 7]])
    assert first["messages_before_capture"] == 3
    assert (first["boot"], second["boot"]) == ("b1", "b2")
    assert about["loss"]["missing_messages"] == 3
    assert about["loss"]["dropped_events"] == 5
    assert about["offset_holes"] == [{"partition": 0, "first": 4, "last": 4}]
    assert about["messages"] == {
        "total": 8,
        "by_kind": {"completion": 4, "heartbeat": 3},
        "undecodable": {"not_json": 1},
        "duplicates_dropped": 0,
    }
    assert exported(folder)[2]["loss"]["dropped_events"] == 14


def test_the_manifests_hashes_are_those_of_the_files(tmp_path: Path):
    folder = capture(tmp_path, {0: [message([completion(i)], seq=i) for i in range(12)]})
    _, _, about = exported(folder)
    for file in about["files"].values():
        data = (folder / file["name"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert len(about["segments"]) == 3
    for segment in about["segments"]:
        assert hashlib.sha256((folder / segment["name"]).read_bytes()).hexdigest() == segment["sha256"]
    assert sum(segment["rows"] for segment in about["segments"]) == about["rows"]["total"]


def test_only_the_wanted_service_is_exported(tmp_path: Path):
    folder = capture(tmp_path, {0: [message([completion(i)], seq=i, key=f"s{i % 2}") for i in range(6)]})
    table, sidecar, about = exported(folder, only=Only(service="s1"))
    assert [row.submitted_us for row in table] == [1, 3, 5]
    assert {row["service"] for row in sidecar} == {"s1"}
    assert about["service"] == "s1"


def test_only_the_wanted_agent_is_exported_and_only_its_loss_is_counted(tmp_path: Path):
    bodies = [message([completion(i)], seq=2 * (i // 2), agent=f"a{i % 2}", dropped=i % 2) for i in range(6)]
    table, _, about = exported(capture(tmp_path, {0: bodies}), only=Only(agent="a1"))
    assert [row.submitted_us for row in table] == [1, 3, 5]
    assert (about["agent"], about["loss"]["missing_messages"], about["loss"]["dropped_events"]) == ("a1", 2, 1)


def test_a_capture_that_saw_nothing_yet_exports_a_header(tmp_path: Path):
    table, sidecar, about = exported(capture(tmp_path, {}))
    assert (table, sidecar, about["rows"]["total"]) == ([], [], 0)
    assert (tmp_path / "trace.csv").read_text() == ",".join(BURSTGPT_8) + "\n"


def test_a_damaged_segment_stops_the_export_by_name_and_leaves_the_old_trace(tmp_path: Path):
    folder = capture(tmp_path, {0: [message([completion(i)], seq=i) for i in range(12)]})
    exported(folder)
    before = (folder / "trace.csv").read_bytes()
    victim = sorted(folder.glob("*.seg"))[1]
    data = victim.read_bytes()
    victim.write_bytes(data.replace(b'"chat"', b'"chas"', 1))
    with pytest.raises(OperatorError, match=victim.name):
        exported(folder)
    victim.write_bytes(data[:-9])
    with pytest.raises(OperatorError, match="move that file out"):
        exported(folder)
    assert (folder / "trace.csv").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_an_origin_after_the_first_request_is_refused(tmp_path: Path):
    folder = capture(tmp_path, {0: [message([completion(5)], seq=0)]})
    with pytest.raises(OperatorError, match="--origin lies after the first request"):
        exported(folder, origin_us=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        ("1970-01-01", 0),
        ("2023-11-01T00:00:00Z", 1_698_796_800_000_000),
        ("2023-11-01T08:00:00+08:00", 1_698_796_800_000_000),
        ("2023-11-16 18:17:03.979960", 1_700_158_623_979_960),
    ],
)
def test_origins_are_iso_instants_in_utc_unless_they_say_otherwise(text, expected):
    assert parse_instant("--origin", None if text == "auto" else text) == expected


@pytest.mark.parametrize("text", ["", "today", "1969-12-31", "2023-13-01", "12"])
def test_other_origins_are_the_operators_fault(text):
    with pytest.raises(OperatorError, match="--origin"):
        parse_instant("--origin", text, "`auto`")


def test_the_command_writes_three_files_and_says_what_it_did(tmp_path: Path, capsys):
    folder = capture(tmp_path / "in", {0: [message([completion(i) for i in range(3)], seq=0)]})
    out = tmp_path / "trace.csv"
    assert trace(["export", str(folder), "--out", str(out), "--origin", "1970-01-01"]) == 0
    assert "3 rows (3 ok)" in capsys.readouterr().out
    assert trace(["export", str(folder), "--out", str(out), "--json", "--columns", "6"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "trace.manifest.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {
        "in",
        "trace.csv",
        "trace.sidecar.jsonl",
        "trace.manifest.json",
    }


@pytest.mark.parametrize(
    ("folder", "out", "word"),
    [
        ("nowhere", "t.csv", "cannot read"),
        ("empty", "t.csv", "no captured segments"),
        ("in", "no/t.csv", "cannot write"),
        ("in", "t", "must name the table"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, capsys, folder, out, word):
    capture(tmp_path / "in", {0: [message([completion(1)], seq=0)]})
    (tmp_path / "empty").mkdir()
    code = burstwatch(["trace", "export", str(tmp_path / folder), "--out", str(tmp_path / out)])
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("burstwatch trace: ")
    assert word in err
    assert err.count("\n") == 1


def played(rows: list[TraceRow]) -> list[bytes]:
    """The rows as the agent's trace source sends them: row numbers as ids, batches of 100."""
    done = [
        Completion(
            id=f"r{number:09d}",
            submitted_at=row.submitted_us,
            ended_at=None if row.elapsed_us is None else row.submitted_us + row.elapsed_us,
            model=row.model,
            session=row.session,
            log_type=row.log_type or API_LOG,
            request_tokens=row.request_tokens,
            response_tokens=row.response_tokens,
            outcome="failed" if row.failed else "ok",
            reason="unknown" if row.failed else None,
            source="trace",
            node="n1",
        )
        for number, row in enumerate(rows)
    ]
    return [message(done[i : i + 100], seq=i // 100) for i in range(0, len(done), 100)]


@pytest.mark.parametrize(
    "name",
    [
        "burstgpt/burstgpt1_first30_rows.csv",
        "burstgpt/burstgpt3_conv_first314_v2schema_partial.csv",
        "burstgpt/burstgpt3_first4_rows_verbatim.csv",
        "azure/AzureLLMInferenceTrace_code.csv",
    ],
)
def test_a_real_trace_comes_back_row_for_row(tmp_path: Path, name):
    with shared(name).open(newline="") as lines:
        header, rows = read_rows(lines)
        truth = [replace(row, log_type=row.log_type or API_LOG) for row in rows]
    columns = BURSTGPT_6 if header.columns == BURSTGPT_6 else BURSTGPT_8
    table, _, about = exported(capture(tmp_path, {0: played(truth)}, Rotation(events=1000)), columns=columns)
    assert table == sorted(truth, key=lambda row: row.submitted_us)
    assert about["rows"]["total"] == len(truth)
    assert about["loss"]["missing_messages"] == 0


def test_a_service_that_never_was_is_refused_and_a_range_without_requests_is_told(tmp_path: Path, capsys):
    folder = capture(tmp_path / "c", {0: [message([completion(i)], seq=i, key="chat") for i in range(5)]})
    out = tmp_path / "t.csv"
    with pytest.raises(OperatorError, match="has seen no service 'nope'; it knows: chat"):
        export_main([str(folder), "--out", str(out), "--service", "nope"])
    assert not out.exists()
    assert export_main([str(folder), "--out", str(out), "--from", "2031-01-01"]) == 0
    assert "note: no request lies within --from 2031-01-01; the capture holds 19" in capsys.readouterr().err
    assert export_main([str(folder), "--out", str(out), "--from", "1970-01-01"]) == 0
    assert "no request lies" not in capsys.readouterr().err
