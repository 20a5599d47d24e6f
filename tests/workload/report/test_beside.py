"""A second process for the burst search changes nothing that is found."""

from multiprocessing import active_children

import numpy as np
import pytest

from workload.analyse.analysis import Options, analyse
from workload.report import beside as module
from workload.report.beside import beside
from workload.trace.columns import Trace


def bursty(unit_us):
    rng = np.random.default_rng(7)
    rate = np.repeat(rng.gamma(1.0, 1.0, 360), 60)  # per second, of six hours of minutes
    times = np.repeat(np.arange(len(rate)), rng.poisson(rate)) * 1_000_000 + 7_000_000
    return Trace.build(np.sort(times + rng.integers(0, 1_000_000, len(times)) // unit_us * unit_us))


@pytest.fixture
def worth_it(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_WORTH_BYTES", 0)
    (tmp_path / "trace.csv").touch()
    return tmp_path / "trace.csv"


def test_a_process_beside_finds_the_same(worth_it):
    with beside(worth_it) as aside:
        for trace in (bursty(1_000_000), bursty(1)):
            there, here = (analyse(trace, Options(classes_max=0), aside=pool).as_dict() for pool in (aside, None))
            assert here["bursts"]["n"] > 3
            assert there == here


def test_it_ends_with_its_parent_and_is_not_started_for_small_files(worth_it, monkeypatch):
    with pytest.raises(KeyboardInterrupt), beside(worth_it):
        assert active_children()
        raise KeyboardInterrupt
    assert not active_children()
    monkeypatch.setattr(module, "_WORTH_BYTES", 1)
    with beside(worth_it) as aside:
        assert aside is None
