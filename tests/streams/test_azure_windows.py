"""A real trace (Azure code, 8,819 requests, gap CV 13): every emitted window equals brute force to 1e-9."""

from itertools import pairwise

from collector.schema.events import API_LOG
from collector.schema.trace_rows import read_rows
from streams.processors.outputs import Episode
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support import brute_force
from tests.support.service_messages import SECOND, SERVICE, Agent, apply_all, arrival, completion, rows_of
from tests.support.shared_data import shared


def test_every_window_of_the_azure_trace_equals_brute_force():
    with shared("azure/AzureLLMInferenceTrace_code.csv").open() as lines:
        rows = list(read_rows(lines)[1])
    key = ("code", API_LOG)
    times = [row.submitted_us for row in rows]
    completions = [
        completion(
            row.submitted_us, key, submitted_at=row.submitted_us, tokens=(row.request_tokens, row.response_tokens)
        )
        for row in rows
    ]
    agent, messages = Agent(), []
    for low, high in pairwise([*range(0, len(rows), 1000), len(rows)]):
        arrivals = [arrival(t, key) for t in times[low:high]]
        messages += agent.flush(arrivals, completions[low:high], times[high] - 1 if high < len(rows) else times[-1])
    end = times[-1] + 3700 * SECOND
    messages.append(agent.message(watermark=end))
    state = ServiceState(SERVICE, AnalysisSettings())
    outputs = apply_all(state, messages)

    ended = [
        brute_force.Ended(c.submitted_at, key, c.outcome, c.request_tokens, c.response_tokens) for c in completions
    ]
    expected = brute_force.rows([(t, key) for t in times], ended, end)
    assert len(expected) > 1300
    brute_force.assert_same(expected, rows_of(outputs))

    assert state.totals[key].arrivals == 8819
    assert state.totals[key].request_tokens == sum(row.request_tokens for row in rows)
    episodes = [e for e in outputs if isinstance(e, Episode)]
    assert [e.state for e in episodes] == ["onset", "end"] * 19  # the trace is bursty through and through: gap CV 13
    assert min(e.peak_rate / e.baseline_rate for e in episodes if e.state == "end") > 3
    assert state.latest == {}  # an hour after its end the longest window is empty
