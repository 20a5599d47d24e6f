"""Exported tables: Parquet, tools' profiles, one trace for each service, a part of the time, later exports."""

import builtins
import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.cli import main as burstwatch
from collector.schema.codec import decode
from collector.schema.errors import OperatorError
from collector.schema.events import Kind
from collector.schema.trace_profiles import PROFILES
from collector.schema.trace_rows import BURSTGPT_6, format_row
from streams.capture import export as export_module
from streams.capture import export_cli, parquet
from streams.capture.export import Wanted, export, list_segments, path_of_service
from streams.capture.files import DiskFolder
from streams.capture.ledger import Removed, ledger_name
from streams.capture.listing import Vanished
from streams.capture.retention import write_ledger
from streams.capture.rows import Only, rows_of
from streams.capture.trace_format import TraceFormat, trace_row
from tests.support.captured import SECOND, bodies_of, capture, exported, mixed
from tests.support.events import completion, events
from tests.support.fake_log import message

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as lines:
        return list(csv.reader(lines))


def test_parquet_holds_the_papers_columns_and_all_else_typed(tmp_path: Path):
    polars = pytest.importorskip("polars")
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    sidecar, about = exported(folder, tmp_path / "t.parquet", parquet=True)
    table = polars.read_parquet(tmp_path / "t.parquet")
    assert len({name.lower() for name in table.columns}) == len(table.columns), "SQL engines do not know case"
    times = ("submitted_at", "first_token_at", "ended_at")
    assert {table.schema[name] for name in times} == {polars.Datetime("us", "UTC")}
    assert (table.schema["stream"], table.schema["http_status"]) == (polars.Boolean, polars.Int64)
    names = {"session": "Session ID", "model": "Model", "log_type": "Log Type", "request_tokens": "Request tokens"}
    for row, known in zip(table.to_dicts(), sidecar, strict=True):
        for name, value in known.items():
            instant = name in times and value is not None
            assert row[names.get(name, name)] == (EPOCH + timedelta(microseconds=value) if instant else value)
        assert row["Timestamp"] == known["submitted_at"] / 1e6
        assert row["Response tokens"] == (0 if known["outcome"] == "failed" else known["response_tokens"])
    assert about["rows"]["in_table"] == len(table) == 24
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_parquet_is_written_in_row_groups_and_holds_no_more_than_one_of_them(tmp_path: Path, monkeypatch):
    polars = pytest.importorskip("polars")
    monkeypatch.setattr(parquet, "ROW_GROUP", 4)
    monkeypatch.setattr(export_module, "_RUN_ROWS", 2)
    held = []
    flush = parquet.ParquetTable._flush

    def watched(table):
        held.append(table._rows)
        flush(table)

    monkeypatch.setattr(parquet.ParquetTable, "_flush", watched)
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(23))})
    exported(folder, tmp_path / "t.parquet", parquet=True)
    assert max(held) == 4
    assert polars.read_parquet(tmp_path / "t.parquet")["submitted_at"].is_sorted()
    assert sum(1 for _ in parquet.read_batches(tmp_path / "t.parquet")) == 6


def test_an_empty_capture_gives_a_parquet_file_with_columns_and_no_rows(tmp_path: Path):
    polars = pytest.importorskip("polars")
    exported(capture(tmp_path / "in", {}), tmp_path / "t.parquet", parquet=True)
    table = polars.read_parquet(tmp_path / "t.parquet")
    assert (len(table), table.columns[0]) == (0, "Timestamp")


def test_without_polars_it_says_what_to_install_and_csv_goes_on(tmp_path: Path, capsys, monkeypatch):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "polars":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert burstwatch(["trace", "export", str(folder), "--out", str(tmp_path / "t.parquet")]) == 2
    assert "pip install 'burstwatch[workload]'" in capsys.readouterr().err
    assert burstwatch(["trace", "export", str(folder), "--out", str(tmp_path / "t.csv")]) == 0
    assert not (tmp_path / "t.parquet").exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(events(Kind.COMPLETION), min_size=1, max_size=8), st.booleans(), st.integers(0, 5))
def test_all_rows_at_once_are_what_each_row_gives_alone(rows, whole_seconds, origin):
    found = sorted(rows_of(decode(message(rows, seq=0)), 0, 0))
    origin_us = found[0][0] * origin // 5
    form = TraceFormat(columns=BURSTGPT_6, origin_us=origin_us, whole_seconds=whole_seconds)
    together = [list(map(str, cells)) for cells in form.cells(found)]
    profile = replace(PROFILES["paper-6"], whole_seconds=whole_seconds)
    assert together == [format_row(profile.apply(trace_row(row, origin_us)), BURSTGPT_6) for row in found]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_profiles_table_is_what_the_profile_gives_and_the_sidecar_keeps_every_row(tmp_path: Path, name: str):
    rows, profile = mixed(), PROFILES[name]
    folder = capture(tmp_path / "in", {0: bodies_of(rows)})
    sidecar, about = exported(folder, tmp_path / "t.csv", columns=profile.columns, profile=profile)
    judged = [trace_row(row) for row in sorted(rows_of(decode(message(rows, seq=0)), 0, 0))]
    kept = [row for row in judged if profile.refuses(row) is None]
    expected = [format_row(profile.apply(row, first_us=kept[0].submitted_us), profile.columns) for row in kept]
    assert cells(tmp_path / "t.csv") == [list(profile.columns), *expected]
    assert len(sidecar) == len(rows)
    assert about["rows"]["in_table"] == len(kept)
    assert sum(about["rows"]["left_out"].values()) == len(rows) - len(kept)
    if profile.from_first_row:
        assert expected[0][0] == "0"
        assert about["made_as"]["origin_us"] == kept[0].submitted_us


def test_a_profile_that_leaves_rows_out_says_so_and_is_refused_for_parquet(tmp_path: Path, capsys):
    folder, out = capture(tmp_path / "in", {0: bodies_of(mixed())}), tmp_path / "t.csv"
    assert burstwatch(["trace", "export", str(folder), "--out", str(out), "--profile", "vllm"]) == 0
    told = "profile vllm: 10 rows in the table, left out: 9 failed (0 response tokens), 5 request tokens unknown"
    assert told in capsys.readouterr().out
    command = ["trace", "export", str(folder), "--out", str(out), "--profile", "vllm", "--format", "parquet"]
    pytest.importorskip("polars")
    assert burstwatch(command) == 2
    assert "is for a tool that reads CSV" in capsys.readouterr().err


def test_mistakes_of_the_command_are_told(tmp_path: Path, capsys):
    folder, out = capture(tmp_path / "in", {0: bodies_of(mixed())}), str(tmp_path / "t.csv")
    assert (
        burstwatch(["trace", "export", str(folder), "--out", out, "--profile", "vllm", "--origin", "1970-01-01"]) == 2
    )
    assert "counts from its first row" in capsys.readouterr().err
    assert burstwatch(["trace", "export", str(folder), "--out", out, "--service", "chta"]) == 2
    assert "no service 'chta'; it knows: chat" in capsys.readouterr().err
    assert not Path(out).exists()


def test_split_gives_each_service_its_own_three_files_with_one_origin(tmp_path: Path, capsys):
    day = 86_400 * SECOND
    bodies = {
        0: [message([completion(day // 2 + n) for n in range(3)], seq=0, key="chat")],
        1: [message([completion(2 * day + n) for n in range(2)], seq=0, key="a/b"), b"junk"],
    }
    folder = capture(tmp_path / "in", bodies)
    assert burstwatch(["trace", "export", str(folder), "--out", str(tmp_path / "t.csv"), "--split", "service"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "in", *(f"t.{s}.{end}" for s in ("chat", "a%2Fb") for end in ("csv", "sidecar.jsonl", "manifest.json"))
    }  # fmt: skip
    assert cells(tmp_path / "t.a%2Fb.csv")[1][0] == "172800"
    about = json.loads((tmp_path / "t.chat.manifest.json").read_text())
    assert (about["service"], about["rows"]["total"], about["origin"][:10]) == ("chat", 3, "1970-01-01")
    assert [stream["key"] for stream in about["loss"]["streams"]] == ["chat"]
    assert "t.chat.csv: 3 rows" in capsys.readouterr().out


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 50)), min_size=1, max_size=20))
def test_the_parts_of_a_split_are_together_the_whole(tmp_path_factory, requests):
    path = tmp_path_factory.mktemp("split")
    bodies = [message([completion(at, id=f"r{n}")], seq=n, key=key) for n, (key, at) in enumerate(requests)]
    folder = capture(path / "in", {0: bodies})
    whole, _ = exported(folder, path / "t.csv")
    about = export(list_segments(folder), folder, path / "s.csv", Wanted(columns=BURSTGPT_6, split=True, origin_us=0))
    parts = []
    for service in about["traces"]:
        sidecar = path_of_service(path / "s.csv", service).with_suffix("").with_suffix("")
        lines = (path / f"{sidecar.name}.{service}.sidecar.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert rows == [row for row in whole if row["service"] == service]
        parts += rows
    assert sorted(map(str, parts)) == sorted(map(str, whole))


def test_too_many_services_to_split_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(export_module, "SERVICES_MAX", 2)
    folder = capture(tmp_path / "in", {0: [message([completion(n)], seq=0, key=f"s{n}") for n in range(3)]})
    with pytest.raises(OperatorError, match="3 services, --split takes 2"):
        export(list_segments(folder), folder, tmp_path / "t.csv", Wanted(columns=BURSTGPT_6, split=True))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=25), st.none() | st.integers(0, 40), st.none() | st.integers(0, 41))
def test_a_range_of_time_is_the_rows_in_it_whatever_segments_they_lie_in(tmp_path_factory, times, begin, end):
    path = tmp_path_factory.mktemp("range")
    folder = capture(path / "in", {0: [message([completion(t, id=f"r{n}")], seq=n) for n, t in enumerate(times)]})
    whole, _ = exported(folder, path / "whole.csv")
    part, about = exported(folder, path / "part.csv", only=Only(from_us=begin, to_us=end))
    low, high = begin or 0, 99 if end is None else end
    assert part == [row for row in whole if low <= row["submitted_at"] < high]
    assert about["loss"]["missing_messages"] == 0


def test_a_range_leaves_segments_outside_it_unread(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(40))})
    victim = min(folder.glob("*.seg"))
    victim.write_bytes(victim.read_bytes().replace(b'"chat"', b'"chas"', 1))
    rows, about = exported(folder, tmp_path / "t.csv", only=Only(from_us=20 * SECOND))
    assert len(rows) == 20
    assert victim.name not in {segment["name"] for segment in about["segments"]}


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_range_is_given_as_instants(tmp_path: Path, capsys, option):
    folder, out = capture(tmp_path / "in", {0: bodies_of(mixed())}), str(tmp_path / "t.csv")
    assert burstwatch(["trace", "export", str(folder), "--out", out, option, "1970-01-01T00:00:10Z", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["rows"]["total"] == (14 if option == "--from" else 10)
    assert about["asked_range"][option[2:]] == "1970-01-01T00:00:10.000000+00:00"
    assert burstwatch(["trace", "export", str(folder), "--out", out, option, "soon"]) == 2
    assert f"{option} 'soon' is not a time" in capsys.readouterr().err
    command = ["trace", "export", str(folder), "--out", out, "--from", "1970-01-02", "--to", "1970-01-02"]
    assert burstwatch(command) == 2


def test_a_completion_that_comes_later_is_at_its_place_in_the_next_export(tmp_path: Path):
    """In flight at the first export, over by the second; sorted by submission, as if it had always been there."""
    rows = mixed(9)
    slow = completion(3 * SECOND, id="slow", ended_at=3600 * SECOND)
    folder = capture(tmp_path / "in", {0: bodies_of(rows)})
    before, _ = exported(folder, tmp_path / "t.csv")
    capture(folder, {0: [message([slow], seq=99)]})
    after, _ = exported(folder, tmp_path / "t.csv")
    assert [row for row in after if row["id"] != "slow"] == before
    assert [row["id"] for row in after][2:5] == ["chat-0002", "slow", "chat-0003"]


def test_a_second_table_of_the_same_name_does_not_take_the_first_ones_manifest(tmp_path: Path, capsys):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(9))})
    command = ["trace", "export", str(folder), "--out"]
    assert burstwatch([*command, str(tmp_path / "t.csv")]) == 0
    assert burstwatch([*command, str(tmp_path / "t.tsv")]) == 2
    assert "t.manifest.json is the manifest of t.csv; give t.tsv another name" in capsys.readouterr().err
    assert burstwatch(["trace", "verify", str(tmp_path / "t.csv")]) == 0
    assert sorted(path.name for path in tmp_path.glob("*t.*")) == ["t.csv", "t.manifest.json", "t.sidecar.jsonl"]
    assert burstwatch([*command, str(tmp_path / "t.csv")]) == 0  # again, of itself
    (tmp_path / "t.csv").unlink()
    assert burstwatch([*command, str(tmp_path / "t.tsv")]) == 0


def test_segments_that_retention_removes_during_an_export_are_left_out_by_the_next_try(tmp_path: Path, monkeypatch):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(40))})
    listed = list_segments(folder)
    merged, tries = export_module.merged, []

    def removing(*args):
        tries.append(args)
        if len(tries) == 1:
            name, footer = listed[1].name, listed[1].footer
            write_ledger(DiskFolder(folder), "llm.requests", Removed().plus([(name, footer, 1)]))
            (folder / str(name)).unlink()
        return merged(*args)

    monkeypatch.setattr(export_module, "merged", removing)
    about = export_cli._with_bar(folder, tmp_path / "t.csv", Wanted(columns=BURSTGPT_6))
    assert len(tries) == 2
    assert about["removed_by_retention"]["rows"] == listed[1].footer.rows
    assert about["rows"]["total"] == 40 - listed[1].footer.rows
    assert (about["offset_holes"], about["loss"]["missing_messages"]) == ([], 0)


def test_a_segment_on_its_way_out_counts_on_one_side_only(tmp_path: Path):
    """Named in the ledger after it was listed, its file still there: removed, not removed and captured as well."""
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(40))})
    listed = list_segments(folder)
    victim = listed[1]
    write_ledger(DiskFolder(folder), "llm.requests", Removed().plus([(victim.name, victim.footer, 1)]))
    about = export(listed, folder, tmp_path / "t.csv", Wanted(columns=BURSTGPT_6))
    rows = about["removed_by_retention"]["rows"]
    assert rows == victim.footer.rows
    assert about["rows"]["total"] + rows == 40
    assert str(victim.name) not in {segment["name"] for segment in about["segments"]}


def test_a_segment_that_goes_away_for_no_reason_is_told(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    listed = list_segments(folder)
    (folder / str(listed[0].name)).unlink()
    with pytest.raises(Vanished, match="went away"):
        export(listed, folder, tmp_path / "t.csv", Wanted(columns=BURSTGPT_6))


def test_a_damaged_ledger_is_told_by_name(tmp_path: Path):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed())})
    (folder / ledger_name("llm.requests")).write_text("{}")
    with pytest.raises(OperatorError, match=r"llm.requests.removed.json is damaged"):
        list_segments(folder)
