"""What `burstwatch dashboards generate` writes is committed as it is; boards among it."""

from pathlib import Path

from dashboards import generate
from dashboards.boards import BOARDS
from streams.export.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
OVERVIEW = "dashboards/generated/boards/overview.json"
GONE = "dashboards/generated/boards/gone.json"


def test_what_is_committed_is_what_the_sources_give():
    assert generate.stale(ROOT) == []


def test_there_is_a_file_for_every_board():
    boards = {name for name in generate.files() if name.startswith("dashboards/generated/boards/")}
    assert boards == {f"dashboards/generated/boards/{name}.json" for name in BOARDS}


def test_stale_missing_and_left_over_files_are_named_and_mended(tmp_path: Path):
    assert sorted(generate.write(tmp_path)) == sorted(generate.files())
    (tmp_path / "METRICS.md").write_text("edited by hand")
    (tmp_path / OVERVIEW).unlink()
    (tmp_path / GONE).write_text("{}")
    expected = ["METRICS.md", GONE, OVERVIEW]
    assert generate.stale(tmp_path) == expected
    assert generate.write(tmp_path) == expected
    assert generate.stale(tmp_path) == []


def test_metrics_md_lists_every_metric():
    text = (ROOT / "METRICS.md").read_text()
    assert all(f"`{name}`" in text for name in CATALOGUE)
