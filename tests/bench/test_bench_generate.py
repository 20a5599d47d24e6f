"""Rows a second of `workload generate`, on arrays and with its CSV, beside loops over rows as others write them."""

from pathlib import Path

import numpy as np
import pytest

from tests.bench.tables import Table, best_cpu_s
from tests.support.workload_models import api_class, conversation_class, model_of
from workload import builtin
from workload.generate.from_model import generate
from workload.scale.methods import compress, period_s, superpose
from workload.scale.remodel import remodel
from workload.scale.sweep import sweep
from workload.trace.write import write_trace

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROWS = 2_000_000
LOOP_ROWS = 50_000
RATE = 20.0


def vllm_like(rng: np.random.Generator, pairs: list[tuple[int, int]], n: int) -> list[tuple[float, int, int]]:
    """A gap a row by a call of numpy, then scaled to n/rate, as vLLM's benchmark draws its delays; lengths for free."""
    shape = 0.25
    gaps = [rng.gamma(shape, 1 / (RATE * shape)) for _ in range(n)]
    rows, total, factor = [], 0.0, n / RATE / sum(gaps)
    for i, gap in enumerate(gaps):
        total += gap * factor
        rows.append((total, *pairs[i % len(pairs)]))
    return rows


def test_rows_a_second(tmp_path: Path):
    api, talk = model_of(api_class(alpha=0.25)), model_of(conversation_class())
    both = model_of(api_class(alpha=0.25, rate_per_s=6.0), conversation_class())
    made, done = {}, {}

    def draw(name, model):
        made[name] = generate(model, np.random.default_rng(1), duration_s=ROWS / RATE, rate_per_s=RATE)
        done[name] = len(made[name])

    def note(name, n):
        done[name] = n

    draw("a model of API requests", api)
    trace = made["a model of API requests"]
    rate, out = len(trace) / period_s(trace), tmp_path / "t.csv"
    rng = np.random.default_rng
    pairs = list(zip(trace.request_tokens[:1000].tolist(), trace.response_tokens[:1000].tolist(), strict=True))
    calls = {
        "a model of API requests": lambda: draw("a model of API requests", api),
        "a model of conversations": lambda: draw("a model of conversations", talk),
        "both, merged in time": lambda: draw("both, merged in time", both),
        "both, with the CSV": lambda: (
            draw("both, with the CSV", both),
            write_trace(made["both, with the CSV"], out),
        ),
        "a sweep's trace": lambda: note(
            "a sweep's trace", len(sweep(trace, rng(1), cvs=(4.0,), rate_per_s=RATE, duration_s=ROWS / RATE)[0][1])
        ),
        "--by compress": lambda: note("--by compress", len(compress(trace, rate_per_s=2 * rate).trace)),
        "--by superpose (2 copies)": lambda: note(
            "--by superpose (2 copies)", len(superpose(trace, rng(1), rate_per_s=2 * rate).trace)
        ),
        "--by model (twice the rate)": lambda: note(
            "--by model (twice the rate)", len(remodel(trace, rng(1), rate_per_s=2 * rate).trace)
        ),
        "a loop over rows, as vLLM's": lambda: note(
            "a loop over rows, as vLLM's", len(vllm_like(rng(1), pairs, LOOP_ROWS))
        ),
        "the built-in workload": lambda: note(
            "the built-in workload", len(builtin.generate(rng(1), duration_s=LOOP_ROWS / 10).rows)
        ),
    }
    costs = dict(zip(calls, best_cpu_s(list(calls.values()), rounds=2), strict=True))
    loop = done["a loop over rows, as vLLM's"] / costs["a loop over rows, as vLLM's"]
    table = Table("generate", "million rows per CPU second, best of 2; x = times the loop over rows")
    for name, cost in costs.items():
        rows_s = done[name] / cost
        table.add(name, rows=done[name], million_rows_s=rows_s / 1e6, x=rows_s / loop)
    table.finish()
    assert done["both, merged in time"] == done["both, with the CSV"] == ROWS
    assert sum(1 for _ in out.open("rb")) == ROWS + 1
