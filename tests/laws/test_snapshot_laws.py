"""Laws of the snapshot codec: exact round trips, and one error for everything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.snapshot import BadSnapshot, decode, encode
from tests.support.service_messages import SECOND, SERVICE, START, Agent, apply_all, arrival, completion

SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=3)


@st.composite
def arrays(draw):
    shape = draw(SHAPES)
    size = int(np.prod(shape))
    kind = draw(st.sampled_from([np.int64, np.uint64, np.float64]))
    values = {
        np.int64: st.integers(-(2**63), 2**63 - 1),
        np.uint64: st.integers(0, 2**64 - 1),
        np.float64: st.floats(allow_nan=False),
    }[kind]
    return np.array(draw(st.lists(values, min_size=size, max_size=size)), kind).reshape(shape)


@given(st.dictionaries(st.text(max_size=3), arrays(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_arrays_come_back_exactly(named):
    _, back = decode(encode({}, named))
    assert named.keys() == back.keys()
    for name, array in named.items():
        assert array.shape == back[name].shape
        assert array.tolist() == back[name].tolist()


def test_floats_come_back_to_the_last_bit_with_their_sign():
    values = np.array([-0.0, 0.1, np.inf, -np.inf, 5e-324, 1.7e308])
    _, back = decode(encode({"x": [0.1, 1e300]}, {"a": values}))
    assert values.tobytes() == back["a"].tobytes()


def sample() -> bytes:
    agent, state = Agent(), ServiceState(SERVICE, AnalysisSettings())
    arrivals = [arrival(START + i * 100_000) for i in range(400)]
    ended = [completion(START + i * 100_000 + 5, outcome="failed", tokens=(3, 4)) for i in range(400)]
    apply_all(state, agent.flush(arrivals, ended, START + 60 * SECOND))
    return state.snapshot()


SAMPLE = sample()


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_with_one_error(body):
    with pytest.raises(BadSnapshot):
        ServiceState.restore(body, AnalysisSettings())


@given(st.integers(0, len(SAMPLE) - 1), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_one_changed_byte_is_refused(at, flip):
    body = bytearray(SAMPLE)
    body[at] ^= flip
    with pytest.raises(BadSnapshot):
        ServiceState.restore(bytes(body), AnalysisSettings())


@given(st.integers(0, len(SAMPLE) - 1))
@settings(max_examples=50, deadline=None)
def test_a_torn_snapshot_is_refused(size):
    with pytest.raises(BadSnapshot):
        ServiceState.restore(SAMPLE[:size], AnalysisSettings())


@pytest.mark.parametrize("facts", [{}, {"service": "x"}, {"service": "x", "offset": 1, "counted": 3}, {"service": 3}])
def test_a_sound_frame_with_other_facts_is_refused(facts):
    with pytest.raises(BadSnapshot):
        ServiceState.restore(encode(facts, {}), AnalysisSettings())


def test_an_hour_of_five_classes_stays_small():
    """Every class active in every pane: what a busy service costs the changelog at each commit."""
    rng = np.random.default_rng(1)
    agent, state = Agent(), ServiceState(SERVICE, AnalysisSettings())
    keys = [(f"m{i}", "API log") for i in range(5)]
    times = START + np.cumsum(rng.gamma(0.5, 400_000, 18_000)).astype(int)
    for low in range(0, len(times), 1000):
        part = times[low : low + 1000].tolist()
        arrivals = [arrival(t, keys[i % 5]) for i, t in enumerate(part)]
        ended = [completion(t, keys[i % 5], tokens=(int(t) % 4000, int(t) % 700)) for i, t in enumerate(part)]
        apply_all(state, agent.flush(arrivals, ended, part[-1]))
    assert len(state.snapshot()) < 120_000


def test_a_snapshot_goes_on_with_other_windows():
    """Shorter or longer windows after a restart: what is known is kept, nothing breaks."""
    for windows in [(10, 60), (10, 60, 300, 1200, 3600)]:
        restored = ServiceState.restore(SAMPLE, AnalysisSettings(windows_s=windows))
        agent = Agent(boot="boot-2")
        out = apply_all(restored, [agent.message(watermark=START + 80 * SECOND)])
        assert [w for row in out for w in row.windows if row.end == out[-1].end][: len(windows)] == list(windows)
        assert out[-1].windows[60].arrivals == 400 - 100


def test_a_snapshot_goes_on_with_another_hold_and_lateness():
    """What was put in order or forgotten stays so: longer waits begin from here on, and nothing is undone."""
    agent, plain = Agent(), ServiceState(SERVICE, AnalysisSettings(hold_s=0, lateness_s=0))
    times = [START + i * 100_000 for i in range(600)]
    apply_all(plain, [agent.message([arrival(t) for t in times], watermark=START + 60 * SECOND)])
    state = ServiceState.restore(plain.snapshot(), AnalysisSettings(hold_s=20, lateness_s=60))
    late = [arrival(START + 45 * SECOND + 1), arrival(START + 55 * SECOND + 1), arrival(START + 61 * SECOND)]
    out = apply_all(state, [agent.message(late), agent.message(watermark=START + 90 * SECOND)])
    assert state.ledger.late == {"counts": 2, "ordered": 2}
    assert [row.end for row in out if row.model == "all"] == [START + 70 * SECOND]
    stats = out[0].windows[300]
    assert (stats.arrivals, stats.gaps) == (601, 600)
    assert stats.cv > 0
