"""`trace verify` proves what is right and finds what is not; `trace info` tells a folder on one screen."""

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.cli import main as burstwatch
from collector.schema.trace_profiles import PROFILES
from streams.capture.files import DiskFolder
from streams.capture.ledger import Removed
from streams.capture.listing import list_segments
from streams.capture.publication import Publication
from streams.capture.retention import write_ledger
from streams.capture.rows import Only
from tests.support.captured import SECOND, bodies_of, capture, exported, mixed
from tests.support.events import completion
from tests.support.fake_log import heartbeat, message

KEY = "5a" * 32


def verify(capsys, *words) -> dict:
    """Run the command; its exit code must agree with what it says."""
    capsys.readouterr()
    code = burstwatch(["trace", "verify", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    if code == 2:
        return {"refused": err}
    found = json.loads(out)
    assert code == (0 if found["proven"] else 1)
    assert found["proven"] is not bool(found["problems"])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bodies = bodies_of(mixed(40))
    return capture(tmp_path / "in", {0: [*bodies, bodies[3], b"junk"], 1: bodies_of(mixed(9, service="b"), key="b/c")})


# -- folders


def test_a_whole_folder_is_proven(folder: Path, capsys):
    found = verify(capsys, folder)
    assert found["checked"] == {"segments": 10, "rows": 49, "removed_segments": 0}
    assert any("1 messages came twice" in note for note in found["notes"])
    assert any("1 not_json" in note for note in found["notes"])
    assert burstwatch(["trace", "verify", str(folder)]) == 0
    assert "in: proven (10 segments, 49 rows" in capsys.readouterr().out


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_flipped_bit_and_any_missing_segment_between_others_is_found(tmp_path_factory, data):
    folder = capture(tmp_path_factory.mktemp("v") / "in", {0: bodies_of(mixed(24))})
    files = sorted(folder.glob("*.seg"))
    victim = data.draw(st.sampled_from(files[1:-1]))
    if data.draw(st.booleans()):
        victim.unlink()
    else:
        sound = victim.read_bytes()
        at = data.draw(st.integers(0, len(sound) - 1))
        victim.write_bytes(sound[:at] + bytes([sound[at] ^ data.draw(st.integers(1, 255))]) + sound[at + 1 :])
    assert burstwatch(["trace", "verify", str(folder)]) == 1


def test_offsets_in_two_segments_and_missing_message_numbers_are_problems(tmp_path: Path, capsys):
    folder = capture(tmp_path / "in", {0: [message([completion(n)], seq=2 * n) for n in range(4)]})
    (name,) = folder.glob("*.seg")
    builder_folder = capture(tmp_path / "other", {0: [message([completion(9)], seq=20)]})
    (other,) = builder_folder.glob("*.seg")
    (folder / other.name).write_bytes(other.read_bytes())
    problems = " ".join(verify(capsys, folder)["problems"])
    assert f"offsets 0 to 0 are also in {other.name}" in problems
    assert "messages 1 to 1 are missing" in problems
    assert name.exists()


def test_what_retention_removed_is_a_note_and_no_hole(folder: Path, capsys):
    listed = list_segments(folder)
    victims = [(item.name, item.footer, 1) for item in listed[:3]]
    write_ledger(DiskFolder(folder), "llm.requests", Removed().plus(victims))
    for name, _, _ in victims[:2]:
        (folder / str(name)).unlink()
    found = verify(capsys, folder)
    assert found["proven"], found
    notes = " ".join(found["notes"])
    assert "3 segments with" in notes
    assert f"{victims[2][0]}: removed by retention, but its file was still there" in notes
    ledger = folder / "llm.requests.removed.json"
    ledger.write_bytes(ledger.read_bytes()[:-3])
    assert any("removed.json: its sha256 differs" in text for text in verify(capsys, folder)["problems"])


def test_leftovers_are_named(folder: Path, capsys):
    (folder / f"llm.requests-0-{77:020d}.seg.tmp").write_text("half")
    (folder / "llm.requests-0-x.seg.damaged").write_text("bad")
    notes = " ".join(verify(capsys, folder)["notes"])
    assert "seg.tmp: still being written" in notes
    assert ".damaged: set aside" in notes


@pytest.mark.parametrize("words", [["nowhere.csv"], ["."], ["in", "--segments", "in"]])
def test_where_there_is_nothing_to_verify_it_says_so(tmp_path: Path, capsys, monkeypatch, words):
    capture(tmp_path / "in", {})
    monkeypatch.chdir(tmp_path)
    assert verify(capsys, *words)["refused"].startswith("burstwatch trace: ")


# -- exported traces

WAYS = {
    "csv": {},
    "six": {"columns": PROFILES["paper-6"].columns, "whole_seconds": True, "origin_us": None},
    "parquet": {"parquet": True},
    "vllm": {"columns": PROFILES["vllm"].columns, "profile": PROFILES["vllm"]},
    "service": {"only": Only(service="b/c")},
    "range": {"only": Only(from_us=5 * SECOND, to_us=30 * SECOND)},
    "keyed": {"publication": Publication(key=bytes.fromhex(KEY))},
    "no-sessions": {"publication": Publication(without_sessions=True)},
}


def written(folder: Path, way: str) -> Path:
    if way == "parquet":
        pytest.importorskip("polars")
    out = folder.parent / f"t.{'parquet' if way == 'parquet' else 'csv'}"
    exported(folder, out, **WAYS[way])
    return out


def forge(out: Path, role: str, change) -> None:
    """Change one of the files and let the manifest agree about its hash."""
    path = out if role == "trace" else out.with_name("t.sidecar.jsonl")
    path.write_bytes(change(path.read_bytes()))
    manifest = out.with_name("t.manifest.json")
    about = json.loads(manifest.read_text())
    data = path.read_bytes()
    about["files"][role] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest.write_text(json.dumps(about))


@pytest.mark.parametrize("way", WAYS)
def test_a_trace_is_proven_by_itself_and_from_its_segments_however_it_was_made(folder: Path, capsys, way: str):
    out = written(folder, way)
    found = verify(capsys, out)
    assert found["proven"], found
    assert found["checked"]["rows"] == {"service": 9, "range": 29}.get(way, 49)
    found = verify(capsys, out, "--segments", folder)
    assert found["proven"], found
    assert found["checked"]["segments"] > 1


@pytest.mark.parametrize("way", ["csv", "vllm", "keyed"])
@pytest.mark.parametrize("role", ["trace", "sidecar"])
def test_a_changed_row_is_found_by_its_hash_and_if_that_is_forged_by_the_other_file(folder, capsys, way, role):
    out = written(folder, way)
    path = out if role == "trace" else out.with_name("t.sidecar.jsonl")
    sound = path.read_bytes()
    lines = sound.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[5].replace(b"5", b"6"), *lines[6:]]))
    assert any("sha256 differs" in text for text in verify(capsys, out)["problems"])
    forge(out, role, lambda data: data)
    assert any("the sidecar gives" in text or "manifest:" in text for text in verify(capsys, out)["problems"])


CHANGES = {
    "a row missing": lambda lines: lines[:-1],
    "a row more": lambda lines: [*lines, lines[-1]],
    "two rows swapped": lambda lines: [*lines[:3], lines[6], *lines[4:6], lines[3], *lines[7:]],
    "not a row": lambda lines: [*lines[:3], b"nonsense\n", *lines[4:]],
}


@pytest.mark.parametrize("role", ["trace", "sidecar"])
@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_are_missing_added_or_out_of_order_are_found(folder: Path, capsys, role: str, change: str):
    out = written(folder, "csv")
    forge(out, role, lambda data: b"".join(CHANGES[change](data.splitlines(keepends=True))))
    assert verify(capsys, out)["problems"]


def test_rows_out_of_order_in_both_files_are_found(folder: Path, capsys):
    out = written(folder, "csv")
    for role, at in (("trace", 4), ("sidecar", 3)):

        def swap(data: bytes, at: int = at) -> bytes:
            lines = data.splitlines(keepends=True)
            return b"".join([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])

        forge(out, role, swap)
    assert any("stands after one submitted later" in text for text in verify(capsys, out)["problems"])


def test_a_parquet_table_that_differs_is_found(folder: Path, capsys):
    polars = pytest.importorskip("polars")
    out = written(folder, "parquet")
    table = polars.read_parquet(out)
    changes = {
        "a value": table.with_columns(polars.col("Request tokens").fill_null(1)),
        "a row missing": table.head(-1),
        "a row more": polars.concat([table, table.tail(1)]),
        "a column missing": table.drop("reason"),
        "no table": None,
    }
    for what, changed in changes.items():
        if changed is None:
            forge(out, "trace", lambda _: b"PAR1 not")
        else:
            changed.write_parquet(out)
            forge(out, "trace", lambda data: data)
        assert verify(capsys, out)["problems"], what


@pytest.mark.parametrize("place", ["total", "by_outcome", "by_model", "in_table"])
def test_a_manifest_that_counts_otherwise_is_found(folder: Path, capsys, place: str):
    out = written(folder, "csv")
    manifest = out.with_name("t.manifest.json")
    about = json.loads(manifest.read_text())
    about["rows"][place] = {"ok": 1} if place.startswith("by") else 1
    manifest.write_text(json.dumps(about))
    assert any(f"manifest: rows.{place} is" in text for text in verify(capsys, out)["problems"])


@pytest.mark.parametrize("at", [0, -1])
def test_what_was_set_aside_at_an_end_is_missing_though_it_leaves_no_hole(tmp_path: Path, capsys, at: int):
    folder = capture(tmp_path / "in", {0: bodies_of(mixed(40))})
    victim = sorted(folder.glob("*.seg"))[at]
    victim.rename(f"{victim}.damaged")
    assert any("not all of its offsets" in text for text in verify(capsys, folder)["problems"])
    (folder / f"{victim.name.rpartition('-')[0]}.seg.tmp").write_text("being read again")
    assert verify(capsys, folder)["proven"]


@pytest.mark.parametrize("way", ["csv", "range"])
@pytest.mark.parametrize(
    ("path", "alone"),
    [
        ("origin", True), ("resolution", True), ("asked_range from", True), ("time_range first", True),
        ("privacy columns Session_ID rows_alone", True), ("loss missing_messages", False),
        ("loss streams", False), ("messages total", False), ("completeness", False), ("open_requests count", False),
        ("offset_holes", False), ("removed_by_retention rows", False), ("segments 0 rows", False),
    ],
)  # fmt: skip
def test_every_other_number_of_a_manifest_is_made_again_too(folder: Path, capsys, way: str, path: str, *, alone: bool):
    out = written(folder, way)
    manifest = out.with_name("t.manifest.json")
    about = json.loads(manifest.read_text())
    *steps, last = [int(step) if step == "0" else step.replace("_ID", " ID") for step in path.split()]
    at = about
    for step in steps:
        at = at[step]
    at[last] = 77
    manifest.write_text(json.dumps(about))
    assert verify(capsys, out)["proven"] is not alone
    if (way, path) == ("range", "messages total"):  # with a range it may also be that the capture went on
        assert any("gone on" in note for note in verify(capsys, out, "--segments", folder)["notes"])
    else:
        problems = verify(capsys, out, "--segments", folder)["problems"]
        assert any(str(step) in text for text in problems for step in (*steps, last)), problems


def test_a_manifest_of_another_version_is_compared_as_far_as_both_mean_the_same(folder: Path, capsys):
    out = written(folder, "csv")
    manifest = out.with_name("t.manifest.json")
    about = json.loads(manifest.read_text()) | {"burstwatch": "0.0", "loss": {}, "resolution": "?"}
    manifest.write_text(json.dumps(about))
    found = verify(capsys, out, "--segments", folder)
    assert found["proven"]
    assert any("made by version 0.0" in note for note in found["notes"])
    about["rows"]["total"] = 1
    manifest.write_text(json.dumps(about))
    assert not verify(capsys, out)["proven"]


def test_segments_that_give_another_trace_are_found(folder: Path, tmp_path: Path, capsys):
    out = written(folder, "csv")
    other = capture(tmp_path / "other", {0: bodies_of(mixed(41))})
    problems = verify(capsys, out, "--segments", other)["problems"]
    assert any("is not there" in text for text in problems)
    victim = sorted(folder.glob("*.seg"))[2]
    sound = victim.read_bytes()
    victim.write_bytes(sound.replace(b'"chat"', b'"chas"', 1))
    assert any("is damaged" in text for text in verify(capsys, out, "--segments", folder)["problems"])
    victim.unlink()
    assert any("is not there" in text for text in verify(capsys, out, "--segments", folder)["problems"])


def test_later_segments_and_removed_ones_are_told(folder: Path, capsys):
    out = written(folder, "csv")
    capture(folder, {0: [message([completion(99 * SECOND)], seq=99)]})
    found = verify(capsys, out, "--segments", folder)
    assert found["proven"]
    assert any("1 segments more" in note for note in found["notes"])
    listed = list_segments(folder)[0]
    write_ledger(DiskFolder(folder), "llm.requests", Removed().plus([(listed.name, listed.footer, 1)]))
    assert any("retention has removed it" in text for text in verify(capsys, out, "--segments", folder)["problems"])


def test_a_publication_is_proven_with_its_key_and_but_for_names_without(folder: Path, tmp_path: Path, capsys):
    out, key = written(folder, "keyed"), tmp_path / "key"
    key.write_text(KEY)
    assert verify(capsys, out, "--segments", folder, "--rekey", key)["notes"] == []
    assert any("one for one" in note for note in verify(capsys, out, "--segments", folder)["notes"])
    key.write_text("00" * 32)
    assert "another key" in verify(capsys, out, "--segments", folder, "--rekey", key)["refused"]
    tags = {json.loads(line)["session"] for line in out.with_name("t.sidecar.jsonl").read_bytes().splitlines()} - {None}
    one, two = sorted(tags)[:2]
    for role in ("trace", "sidecar"):
        forge(out, role, lambda data: data.replace(one.encode(), two.encode()))
    assert any("privacy.Session ID" in text for text in verify(capsys, out)["problems"])
    found = verify(capsys, out, "--segments", folder)
    assert any("two sessions have one tag" in text for text in found["problems"])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["trace", "sidecar", "manifest"]), st.data())
def test_whatever_the_files_hold_it_finds_it_or_refuses_and_never_breaks(tmp_path_factory, role, data):
    path = tmp_path_factory.mktemp("fuzz")
    folder = capture(path / "in", {0: bodies_of(mixed(6))})
    out = written(folder, "csv")
    victim = {"trace": out, "sidecar": path / "t.sidecar.jsonl", "manifest": path / "t.manifest.json"}[role]
    sound = victim.read_bytes()
    start = data.draw(st.integers(0, len(sound)))
    end = data.draw(st.integers(start, min(len(sound), start + 9)))
    wild = st.binary(max_size=4) | st.sampled_from([b"null", b"[]", b"{}", b"-1", b"1e999", b"true", b'"', b",", b"\n"])
    changed = sound[:start] + data.draw(wild) + sound[end:]
    if role == "manifest":
        victim.write_bytes(changed)
    else:
        forge(out, role, lambda _: changed)
    code = burstwatch(["trace", "verify", str(out), "--segments", str(folder), "--json"])
    assert code in ((0, 1, 2) if role == "manifest" or changed == sound else (0, 1))
    if role == "trace" and list(csv.reader(io.StringIO(changed.decode("latin-1"), newline=""))) != list(
        csv.reader(io.StringIO(sound.decode(), newline=""))
    ):
        assert code == 1


# -- info


def test_a_folder_is_told_on_one_screen(folder: Path, capsys):
    (folder / f"llm.requests-0-{77:020d}.seg.tmp").write_text("half")
    assert burstwatch(["trace", "info", str(folder)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 25
    for text in ("51 completed requests", "service      b/c: 9 rows", "overloaded", "GPT-4", "1 segments, 0.0 MB"):
        assert text in out, text
    assert burstwatch(["trace", "info", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["segments"], facts["rows"], facts["partitions"]) == (10, 51, 2)
    assert facts["bytes"] == sum(path.stat().st_size for path in folder.glob("*.seg"))
    assert facts["services"]["by_name"]["b/c"]["by_outcome"] == {"ok": 5, "failed": 2, "cancelled": 2}
    assert facts["next_offsets"] == {"0": 22, "1": 5}
    assert facts["time_range"]["first"].startswith("1970-01-01T00:00:00")


def test_it_tells_losses_holes_retention_and_who_could_be_identified(tmp_path: Path, capsys):
    bodies = [*bodies_of(mixed(20)), heartbeat(seq=30, watermark=1, dropped=4)]
    folder = capture(tmp_path / "in", {0: bodies})
    listed = list_segments(folder)
    write_ledger(DiskFolder(folder), "llm.requests", Removed().plus([(listed[0].name, listed[0].footer, 1)]))
    (folder / str(listed[2].name)).unlink()
    assert burstwatch(["trace", "info", str(folder), "--privacy"]) == 0
    out = capsys.readouterr().out
    for text in ("4 events dropped", "hole         partition 0", "retention    removed by retention before", "advice:"):
        assert text in out, text


def test_an_empty_folder_and_one_that_is_none(tmp_path: Path, capsys):
    assert burstwatch(["trace", "info", str(capture(tmp_path / "in", {}))]) == 0
    assert "nothing yet" in capsys.readouterr().out
    assert burstwatch(["trace", "info", str(tmp_path)]) == 2
