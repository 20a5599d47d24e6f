import json
import sys

import pytest
from rich.console import Console

from burstwatch.cli import main as burstwatch
from collector.schema.errors import OperatorError
from tests.support.report_made import HOSTILE, bare, trace
from tests.support.report_pages import Page
from workload.analyse.analysis import Options, analyse
from workload.report.analysis_text import analysis_text
from workload.report.analyze_cli import main
from workload.report.numbers import duration, number, percent
from workload.trace.write import write_trace


@pytest.fixture
def csv(tmp_path):
    write_trace(trace(600), tmp_path / "t.csv")
    return tmp_path / "t.csv"


def _text(facts, **options):
    console = Console(width=160, record=True, file=open("/dev/null", "w"), highlight=False)  # noqa: PTH123, SIM115
    console.print(analysis_text(facts, name="[red]t.csv", **options))
    return console.export_text()


def test_text_tells_the_findings_and_the_tables():
    facts = analyse(trace(), Options(window_s=300)).as_dict()
    told = _text(facts)
    failures, windows = facts["failures"], facts["burstiness"]["quantiles"]
    for words in (
        "[red]t.csv", "3,000 requests", duration(facts["file"]["span_s"]), percent(failures["ratio"]), HOSTILE,
        number(windows["cv"]["p50"]), number(windows["alpha"]["p50"]), number(windows["beta"]["p90"]),
        number(facts["burstiness"]["overall"]["cv"]), number(facts["lengths"]["response"]["quantiles"]["p99"]),
        number(facts["dispersion"]["scales"]["idc"][0]), percent(facts["burstiness"]["wins"]["gamma"]), "72.5 %",
    ):  # fmt: skip
        assert words in told, words
    assert len(told.splitlines()) < 100, "a screen or two, no data dump"
    assert "API log" in _text(facts, by_class=True)


@pytest.mark.parametrize("requests", [bare(0), bare(1), bare(40, gap_us=0), bare(50)])
def test_text_of_traces_that_tell_little_holds_no_made_up_number(requests):
    told = _text(analyse(requests, Options()).as_dict())
    assert "nan" not in told
    assert "None" not in told.replace("None of", "")


def test_json_to_stdout_is_all_there_is_on_it(csv, capsys):
    assert main([str(csv), "--window-s", "300", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["file"]["rows"] == 600
    assert facts["burstiness"]["window_s"] == 300


def test_json_and_page_into_files_and_text_on_the_terminal(capsys, tmp_path):
    csv = tmp_path / "t.csv"
    write_trace(bare(25), csv)
    out, page = tmp_path / "facts.json", tmp_path / "page.html"
    assert main([str(csv), "--json", str(out), "--html", str(page), "--by-class"]) == 0
    assert json.loads(out.read_text())["file"]["rows"] == 25
    made = Page(page.read_text())
    made.assert_harmless()
    assert "Trace analysis: t.csv" in made.words
    assert "all its requests are one class" in made.words
    assert "25 requests" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.json", "page.html", "t.csv"]


def test_windows_of_classes_are_in_the_json_where_classes_are_asked_for(csv, capsys):
    def told(*options):
        assert main([str(csv), "--window-s", "300", "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    short, full = told(), told("--by-class")
    assert short["burstiness"] == full["burstiness"]
    assert len(full["burstiness"]["windows"]["cv"]) > 1
    assert len(short["classes"]) == len(full["classes"]) > 1
    for one, other in zip(short["classes"], full["classes"], strict=True):
        windows = other["burstiness"].pop("windows")
        assert len(windows["start_s"]) > 1
        assert one == other


def test_a_file_that_goes_back_in_time_is_told_wherever_it_is_read(csv, capsys, tmp_path):
    twice, page = tmp_path / "twice.csv", tmp_path / "page.html"
    lines = csv.read_text().splitlines(keepends=True)
    twice.write_text("".join([*lines, lines[1]]))
    span_s = float(lines[-1].split(",")[0]) - float(lines[1].split(",")[0])
    words = f"goes back in time at 1 row, by {duration(span_s)} at most"
    for argv in ([str(twice), "--html", str(page)], [str(csv), "--compare", str(twice)]):
        assert main(argv) == 0
        assert words in " ".join(capsys.readouterr().out.split())
    assert words in " ".join(Page(page.read_text()).words.split())
    assert "By class of requests" in Page(page.read_text()).words, "classes are not left out of a page"
    assert main([str(csv)]) == 0
    assert "back in time" not in capsys.readouterr().out


def test_an_origin_gives_dates_and_a_manifest_beside_does_so_too(csv, capsys):
    def first_s(*options):
        assert main([str(csv), "--json", *options]) == 0
        told = json.loads(capsys.readouterr().out)["file"]
        return told["first_s"] if told["absolute"] else None

    plain = first_s()
    assert plain is None
    dated = first_s("--origin", "2023-11-01")
    assert 1_698_796_800 <= dated < 1_698_796_800 + 3600
    manifest = {"origin": "2026-11-01T00:00:00Z", "files": {"trace": {"name": csv.name}}}
    csv.with_name("t.manifest.json").write_text(json.dumps(manifest))
    assert first_s() - dated == 94_694_400
    assert first_s("--origin", "2023-11-01") == dated
    csv.with_name("t.manifest.json").write_text('{"origin": 7}')
    assert first_s() is None


def test_only_burstgpt_is_thought_to_begin_on_a_wednesday(csv, capsys, tmp_path):
    mooncake = tmp_path / "m.jsonl"
    mooncake.write_text('{"timestamp": 0, "input_length": 5, "output_length": 6, "hash_ids": []}\n' * 3)

    def origin(path):
        assert main([str(path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)["file"]["origin"]

    assert "Wednesday" in origin(csv)
    assert "Wednesday" not in origin(mooncake)


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_the_trace_itself_is_never_overwritten(csv, option):
    before = csv.read_bytes()
    with pytest.raises(OperatorError, match="would overwrite the trace"):
        main([str(csv), option, str(csv)])
    assert csv.read_bytes() == before


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["nothing.csv"], "nothing.csv"),
        (["t.csv", "--html", "nowhere/page.html"], "no folder nowhere"),
        (["t.csv", "--json", "nowhere/facts.json"], "no folder nowhere"),
        (["t.csv", "--json", "both", "--html", "both"], "--html both would overwrite the file of --json"),
        (["t.csv", "--html", "/dev/null"], "a device or a pipe, not a file"),
        (["t.csv", "--json", "."], "it is a folder, not a file"),
        (["t.csv", "--format", "nonsense"], "no format 'nonsense'"),
    ],
)
def test_what_the_operator_must_mend_is_one_line_and_exit_code_2(csv, argv, told, capsys, monkeypatch):
    monkeypatch.chdir(csv.parent)
    assert burstwatch(["trace", "analyze", *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("argv", [["t.csv", "--window-s", "0"], ["t.csv", "--origin", "yesterday"], []])
def test_options_that_are_wrong_are_refused_by_the_parser(argv, capsys):
    with pytest.raises(SystemExit) as refused:
        main(argv)
    assert refused.value.code == 2
    assert "usage: burstwatch trace analyze" in capsys.readouterr().err


def test_a_missing_extra_is_told_before_any_work(csv, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "workload.report.plots", None)
    with pytest.raises(OperatorError, match=r"pip install 'burstwatch\[workload\]'"):
        main([str(csv), "--html", str(tmp_path / "page.html")])
    assert main([str(csv), "--json", str(tmp_path / "facts.json")]) == 0


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for words in ("examples:", "--compare", "--by-class", "how to read it:", "jq ", "burstwatch[workload]"):
        assert words in told
