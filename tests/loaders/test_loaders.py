"""Profiles and tool formats in the tools themselves: aiperf, guidellm and vLLM read what we wrote.

Optional: `tests/loaders/install.sh build/loaders-venv` puts the tools there (or where BURSTWATCH_LOADERS says). Each
tool's own loader runs, in its own environment; what it would send must be the rows we meant.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.shared_data import shared
from workload.formats.convert import Wanted, converted
from workload.formats.convert_cli import main
from workload.formats.record import Record
from workload.formats.registry import FORMATS, TARGETS
from workload.formats.told import Told

pytestmark = pytest.mark.loaders

HERE = Path(__file__).parent
TOOLS = Path(os.environ.get("BURSTWATCH_LOADERS", HERE.parents[1] / "build" / "loaders-venv"))

ROWS = [
    Record(submitted_us=19_440_110_000_000, session="s1", elapsed_us=43_000_000, model="GPT-4", request_tokens=906,
           response_tokens=446, log_type="Conversation log"),
    Record(submitted_us=19_440_110_250_000, model="ChatGPT", request_tokens=36, response_tokens=29, log_type="API log"),
    Record(submitted_us=19_440_111_000_000, model="ChatGPT", request_tokens=0, response_tokens=0, log_type="API log"),
    Record(submitted_us=19_440_113_000_000, session="s1", request_tokens=None, response_tokens=5),
    Record(submitted_us=19_440_116_000_000, session="s1", model="m", request_tokens=1300, response_tokens=5,
           hash_ids=(4, 5, 6), block_tokens=512),
]  # fmt: skip
USABLE = [(0.0, 906, 446), (0.25, 36, 29), (6.0, 1300, 5)]
BURSTGPT_NAMES = {
    "timestamp_column": "Timestamp",
    "prompt_tokens_column": "Request tokens",
    "output_tokens_column": "Response tokens",
}


def _written(name, tmp_path, rows=ROWS):
    told, target = Told(), TARGETS[name]
    path = tmp_path / f"trace{target.suffix}"
    chunks = target.encode(converted(rows, FORMATS["burstgpt-8"], target, Wanted(), told), told)
    path.write_bytes(b"".join(chunks))
    return str(path)


def _run(python, script, *arguments):
    if not python.exists():
        pytest.skip(f"no {python}: run tests/loaders/install.sh {TOOLS}")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}
    command = [str(python), str(HERE / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110)  # noqa: PLW1510


def _sent(ran):
    assert 0 == ran.returncode, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


def _aiperf(kind, path):
    return _run(TOOLS / "aiperf" / "bin" / "python", "in_aiperf.py", kind, path)


def _guidellm(path, kind="trace_synthetic", **names):
    source = {"kind": "csv_file" if path.endswith(".csv") else "json_file", "path": path}
    config = json.dumps({"kind": kind, "source": source, **names})
    return _run(TOOLS / "guidellm" / "bin" / "python", "in_guidellm.py", config)


def _vllm(kind, path, number):
    source = TOOLS / "vllm_datasets.py"
    if not source.exists():
        pytest.skip(f"no {source}: run tests/loaders/install.sh {TOOLS}")
    return _run(TOOLS / "aiperf" / "bin" / "python", "in_vllm.py", str(source), kind, path, str(number))


def test_aiperf_replays_our_burstgpt_file(tmp_path):
    turns = _sent(_aiperf("burst_gpt_trace", _written("aiperf", tmp_path)))
    assert [(s * 1000, n, m) for s, n, m in USABLE] == [(at, n, m) for _, at, n, m in turns]


def test_aiperf_refuses_the_papers_own_form_because_of_one_failure(tmp_path):
    ran = _aiperf("burst_gpt_trace", _written("paper", tmp_path))
    assert ran.returncode
    assert "greater than or equal to 1" in ran.stderr


def test_aiperf_sees_our_sessions(tmp_path):
    turns = _sent(_aiperf("mooncake_trace", _written("aiperf-mooncake", tmp_path)))
    by_session = {}
    for session, at, n, m in turns:
        by_session.setdefault(session, []).append((at / 1000, n, m))
    assert [USABLE[0], USABLE[2]] == by_session.pop("s1")
    assert [[USABLE[1]]] == list(by_session.values())


@pytest.mark.parametrize(
    ("name", "kind", "names"),
    [("guidellm", "trace_synthetic", BURSTGPT_NAMES), ("guidellm-jsonl", "trace_synthetic", {}),
     ("mooncake", "mooncake", {"time_scale": 0.001})],
)  # fmt: skip
def test_guidellm_replays_our_files(tmp_path, name, kind, names):
    turns = _sent(_guidellm(_written(name, tmp_path), kind, **names))
    assert USABLE == [(pytest.approx(at), n, m) for at, n, m, _ in turns]
    assert [n for _, n, _ in USABLE] == [words for *_, words in turns]


def test_vllm_takes_our_lengths_from_its_cells(tmp_path):
    sent = _sent(_vllm("burstgpt", _written("vllm", tmp_path), len(USABLE)))
    assert sorted((n, m) for _, n, m in USABLE) == sorted((n, m) for _, n, m in sent)


def test_vllm_cannot_read_the_papers_eight_columns(tmp_path):
    ran = _vllm("burstgpt", _written("paper", tmp_path, rows=ROWS[:1] * 2), 2)
    assert ran.returncode
    assert "invalid literal for int() with base 10: 'GPT-4'" in ran.stderr


def test_vllms_timed_trace_gives_prompts_of_full_length_at_our_times(tmp_path):
    sent = _sent(_vllm("timed_trace", _written("vllm-timed", tmp_path), len(USABLE)))
    assert USABLE == [tuple(row) for row in sent]


@pytest.mark.parametrize("name", ["aiperf", "vllm"])
def test_a_real_trace_arrives_with_all_its_usable_rows(tmp_path, name):
    out = str(tmp_path / "out.csv")
    main([str(shared("burstgpt/burstgpt1_first30_rows.csv")), "--to", name, "--out", out])
    assert 29 == len(_sent(_aiperf("burst_gpt_trace", out) if name == "aiperf" else _vllm("burstgpt", out, 29)))
