"""Event time of live sources: forward with the wall clock, never back; and boots that are never the same."""

from collector import clock as module
from collector.clock import Clock
from collector.sidecar import new_boot_id


def test_steps_forward_are_followed_steps_back_and_small_noise_are_not(monkeypatch):
    wall, monotonic = [1_000_000_000], [5_000_000]
    monkeypatch.setattr(module, "_wall_us", lambda: wall[0])
    monkeypatch.setattr(module, "_monotonic_us", lambda: monotonic[0])
    clock = Clock()
    assert clock.now_us() == 1_000_000_000
    for wall_moves, expected in ((100, 1_000_000_100), (-60_000_000, 1_000_000_200), (400_000, 1_000_000_300)):
        wall[0] += wall_moves
        monotonic[0] += 100
        assert clock.now_us() == expected
    wall[0], monotonic[0] = 5_000_000_000, monotonic[0] + 100
    assert clock.now_us() == 5_000_000_000


def test_no_two_boots_have_an_id_in_common_and_ids_sort_by_their_start():
    ids = [new_boot_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert [boot[:14] for boot in ids] == sorted(boot[:14] for boot in ids)
