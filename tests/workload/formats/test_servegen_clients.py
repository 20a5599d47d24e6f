"""ServeGen's client files: parsed without running them, and requests drawn as their windows say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.errors import BadTrace, OperatorError
from workload.formats.convert_cli import main
from workload.formats.servegen_clients import parse_dataset, parse_lengths, parse_window, requests

# The first lines of data/language/m-large/chunk-100-trace.csv, and a window of silence as the loader reads one.
REAL = """\
0,1.1666666666666667,0.9812997595412902,Gamma,1.0384763614345214,0.8245559198741792
4200,0.64,1.0495706477216191,Weibull,1.0269980493187594,1.7057127973248827
"""


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(0, 10**6), st.floats(0, 1, allow_nan=False), min_size=1))
def test_lengths_are_what_python_would_have_evaluated(lengths):
    assert lengths == parse_lengths(repr(lengths))


EVIL = [
    "__import__('os').system('true')",
    "{1: 2",
    "{1: x}",
    "{-1: 0.5}",
    "{1: 0.5 2: 0.5}",
    "[1]",
    "{1: nan}",
    "{f(): 1}",
]


@pytest.mark.parametrize("text", EVIL)
def test_anything_else_is_refused_and_never_run(text):
    with pytest.raises(ValueError, match="lengths must look like"):
        parse_lengths(text)


def test_windows_without_lengths_are_left_out_and_bad_files_said():
    text = json.dumps({"600": {"input_tokens": "{}"}, "0": {"input_tokens": "{100: 0.5, 200: 0.5}"}})
    assert {0: {"input_tokens": {100: 0.5, 200: 0.5}}} == parse_dataset(text)
    for bad in ("[]", '{"x": {}}', '{"0": "{1: 1.0}"}', '{"0": {"input_tokens": 5}}'):
        with pytest.raises(BadTrace, match="not a ServeGen dataset"):
            parse_dataset(bad)


SENSELESS = """\
0,1,1,Gamma,1
x,1,1,Gamma,1,1
0,inf,1,Gamma,1,1
0,1,1,Poisson,1,1
0,1,1,Gamma,0,1
0,0,1,Gamma,1,1
0,-1,1,Gamma,1,1
0,1e9,1,Gamma,1,1e-12
0,1e9,1,Exponential,0,0
0,1,1,Weibull,1e-9,1"""


@pytest.mark.parametrize("line", SENSELESS.splitlines())
def test_windows_that_make_no_sense_are_refused(line):
    with pytest.raises(ValueError, match=r".+"):
        parse_window(line)


def test_a_silent_window_sends_nothing():
    windows = [parse_window("0,0,0,,0,0"), parse_window("600,1,1,Exponential,0,0")]
    drawn = [record.submitted_us for record in requests(windows, {}, np.random.default_rng(1))]
    assert drawn
    assert min(drawn) >= 600_000_000


@pytest.mark.parametrize(
    ("line", "cv"), [(REAL.splitlines()[0], 0.9813), (REAL.splitlines()[1], 0.974), ("0,2,3,Gamma,0.25,2", 2.0)]
)
def test_drawn_gaps_have_the_windows_mean_and_variation(line, cv):
    """Weibull of shape k has CV sqrt(G(1+2/k)/G(1+1/k)^2 - 1); Gamma's is 1/sqrt(shape)."""
    window = parse_window(line)
    drawn = list(requests([window], {}, np.random.default_rng(7), last_window_s=20_000))
    gaps = np.diff([record.submitted_us / 1e6 for record in drawn])
    n = len(gaps)
    assert window.mean_gap_s == pytest.approx(gaps.mean(), abs=5 * gaps.std() / n**0.5)
    assert cv == pytest.approx(gaps.std() / gaps.mean(), rel=0.1)


def test_drawn_lengths_follow_the_latest_window_that_has_some():
    windows = [parse_window("0,5,1,Exponential,0,0"), parse_window("600,5,1,Exponential,0,0")]
    lengths = {0: {"input_tokens": {7: 0.25, 9: 0.75}, "output_tokens": {1: 1.0}}}
    drawn = list(requests(windows, lengths, np.random.default_rng(3)))
    assert {1} == {record.response_tokens for record in drawn}
    share = np.mean([record.request_tokens == 9 for record in drawn])
    assert 0.75 == pytest.approx(share, abs=5 * (0.75 * 0.25 / len(drawn)) ** 0.5)
    assert max(record.submitted_us for record in drawn) < 1_200_000_000


def test_convert_draws_a_client_and_the_seed_decides(tmp_path):
    (tmp_path / "chunk-3-trace.csv").write_text(REAL)
    (tmp_path / "chunk-3-dataset.json").write_text(
        json.dumps({"0": {"input_tokens": "{5: 1.0}", "output_tokens": "{6: 1.0}"}})
    )

    def draw(seed):
        out = tmp_path / "out.csv"
        main(
            [
                str(tmp_path / "chunk-3-trace.csv"),
                "--from",
                "servegen-client",
                "--seed",
                seed,
                "--to",
                "paper",
                "--out",
                str(out),
            ]
        )
        return out.read_text()

    assert draw("1") == draw("1") != draw("2")
    (tmp_path / "chunk-3-dataset.json").unlink()
    with pytest.raises(OperatorError, match="chunk-N-dataset"):
        draw("1")
