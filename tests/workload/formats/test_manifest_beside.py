"""A manifest beside a trace is of the very file it was written for, or it counts for nothing."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from burstwatch.cli import main as burstwatch
from workload.formats.manifest import manifest_beside
from workload.report.dating import told_origin

ROWS = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n" + "".join(
    f"{i}.5,m,{i + 1},2,{i + 3},API log\n" for i in range(60)
)
ORIGIN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(ROWS)
    told = {
        "origin": "2026-11-01T00:00:00.000000+00:00",
        "clock": "UTC",
        "rows": {"total": 60, "by_outcome": {"ok": 56, "cancelled": 4}, "by_model": {f"m{i}": i for i in range(50)}},
        "privacy": {f"column_{i}": {"why": "it is so " * 20} for i in range(40)},
        "files": {
            "trace": {
                "name": "t.csv",
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        },
    }
    (tmp_path / "t.manifest.json").write_text(json.dumps(told))
    return path


@pytest.mark.parametrize(
    ("now", "why"), [(ROWS + "99.5,m,1,2,3,API log\n", "it has"), (ROWS.replace("m,1,", "n,1,"), "its sha256 differs")]
)
def test_an_origin_is_not_taken_for_a_file_that_was_written_over(exported, now, why, capsys):
    assert told_origin(exported) == ORIGIN
    exported.write_text(now)
    assert told_origin(exported) is None
    assert why in capsys.readouterr().err
    assert why in manifest_beside(exported).differs
    assert burstwatch(["trace", "info", str(exported)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"t.manifest.json is not of this file any more ({why}" in told
    assert "cancelled" not in told
    assert burstwatch(["analyze", str(exported)]) == 0
    told = capsys.readouterr()
    assert "2023-11-01 00:00:0" in told.out
    assert "t.manifest.json is not of this file any more" in told.err


def test_info_fits_a_screen_and_tells_outcomes_as_the_manifest_does(exported, capsys):
    assert burstwatch(["trace", "info", str(exported)]) == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) <= 35
    words = " ".join(told.split())
    assert "60 ok (told by 0 response tokens; as the manifest tells: ok 56, cancelled 4)" in words
    assert "manifest: origin 2026-11-01" in words
    assert "details in t.manifest.json" in words


def test_a_conversion_into_dates_takes_the_manifests_origin(exported, tmp_path, capsys):
    out = tmp_path / "o.csv"
    command = ["trace", "convert", str(exported), "--to", "azure", "--out", str(out)]
    assert burstwatch(command) == 0
    assert "2026-11-01 00:00:00.5" in out.read_text()
    assert burstwatch([*command, "--origin", "2020-01-01T00:00:00Z"]) == 0
    assert "2020-01-01 00:00:00.5" in out.read_text()
    exported.write_text(ROWS + "99.5,m,1,2,3,API log\n")
    assert burstwatch(command) == 0
    assert "2026-11-01" not in out.read_text()
    assert "is not of this file any more" in capsys.readouterr().err


def test_an_analysis_tells_outcomes_that_the_file_cannot_hold(exported, capsys):
    assert burstwatch(["trace", "analyze", str(exported)]) == 0
    assert "the manifest beside it: 56 ok, 4 cancelled." in capsys.readouterr().out
    assert burstwatch(["trace", "analyze", str(exported), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["outcomes_told"] == {"ok": 56, "cancelled": 4}
    exported.write_text(ROWS + "99.5,m,1,2,3,API log\n")
    assert burstwatch(["trace", "analyze", str(exported)]) == 0
    assert "the manifest beside it" not in capsys.readouterr().out


def test_a_shape_from_counts_is_told_as_such(tmp_path, capsys):
    times = (i // 7 + (i % 97 == 0) for i in range(4000))
    head = ROWS.splitlines()[0]
    (tmp_path / "w.csv").write_text("\n".join([head, *(f"{t},m,1,2,3,API log" for t in sorted(times))]) + "\n")
    assert burstwatch(["trace", "info", str(tmp_path / "w.csv")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert ("from counts, not comparable" in told) == ("(dispersion" in told) == ("Gamma shape" in told) is True
