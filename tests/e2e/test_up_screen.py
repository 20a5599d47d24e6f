"""The terminal summary and the plan behind it, without a process."""

import doctest
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from burstwatch import wording
from burstwatch.up import plan
from burstwatch.up.numbers import Numbers, ServiceNumbers, read_numbers
from burstwatch.up.plan import Places, UpOptions
from burstwatch.up.screen import Screen, picture, plain_line, total_line
from burstwatch.wording import MALFORMED, episode_line, episode_size

PLACES = Places(
    state=Path("/data/state"), run_id="r1", broker_port=1, engine_port=2, proxy_port=3, metrics_port=4, page_port=5
)
NUMBERS = Numbers(
    services={"chat": ServiceNumbers(rate_10s=31.2, cv_1m=1.9, failure_ratio_1m=0.125, burst_active=True, bursts=2)},
    kv_cache_usage_ratio=0.973,
    running=12,
    waiting=40,
)
ONSET = {
    "state": "onset",
    "service": "chat",
    "detected": 1_700_000_000_000_000,
    "baseline_rate": 5.0,
    "peak_rate": 30.0,
    "peak_z": 9.75,
    "arrivals": 88,
}


def test_the_plain_line_tells_rate_cv_failures_memory_and_bursts():
    line = plain_line(75, NUMBERS)
    for part in ("01:15", "rate 31.20/s", "cv 1.90", "failures 12.5%", "BURST", "kv 97.3%", "waiting 40"):
        assert part in line


def test_what_is_not_known_is_a_dash_and_never_a_zero():
    line = plain_line(0, Numbers(services={"chat": ServiceNumbers()}))
    assert "rate -/s  cv -  failures -" in line
    assert "kv" not in line  # there is no engine to speak of


def test_a_burst_is_told_by_what_rose_when_it_begins_and_by_its_peak_when_it_is_over():
    onset = {**ONSET, "onset": ONSET["detected"] - 2_000_000, "peak_rate": 4.4}  # the last 10 s: mostly of before
    assert episode_line(onset) == (
        "22:13:20Z BURST begins chat: 88 requests in 2 s against 5.0/s expected = 8.8x, z 9.8"
    )
    end = onset | {"state": "end", "end": ONSET["detected"] + 9_000_000, "arrivals": 400, "peak_rate": 30.0}
    assert episode_line(end) == (
        "22:13:29Z burst ends   chat: 30.0/s over 10 s against 5.0/s = 6.0x, z 9.8, 400 requests"
    )
    # Over before 10 s were above what was expected: less than that is no peak of a burst.
    assert episode_line(end | {"peak_rate": 4.4, "arrivals": 88, "end": ONSET["detected"]}) == (
        "22:13:20Z burst ends   chat: 88 requests in 2 s against 5.0/s expected = 8.8x, z 9.8"
    )
    assert "= " not in episode_line(onset | {"baseline_rate": 0.0})


def test_an_episode_line_says_how_big_against_what():
    assert episode_line(ONSET) == (
        "22:13:20Z BURST begins chat: 30.0/s over 10 s against 5.0/s = 6.0x, z 9.8, 88 requests"
    )


def test_failure_and_pressure_episodes_have_a_line_of_their_own():
    failure = {
        "kind": "failure",
        "state": "end",
        "service": "chat",
        "end": 1_700_000_000_000_000,
        "failures": 7,
        "completions": 20,
        "peak_ratio": 0.5,
        "failures_by_reason": {"timeout": 1, "overloaded": 6},
        "attribution": "burst_and_memory_pressure",
    }
    assert episode_line(failure) == (
        "22:13:20Z failure ends   chat: 7 of 20 failed (35%), worst minute 50%, most overloaded, "
        "in a burst and under memory pressure"
    )
    pressure = {"kind": "pressure", "state": "onset", "service": "chat", "node": "n", "engine": "e"}
    pressure |= {"detected": 1_700_000_000_000_000, "kv_usage_peak": 0.93, "exhaustion_s": 12.4}
    assert episode_line(pressure) == (
        "22:13:20Z PRESSURE begins chat: e on n, kv 93.0%, full in 12 s or more, waiting 0, preemptions 0"
    )
    assert ", full at once, waiting" in episode_line(pressure | {"exhaustion_s": 0.4})
    assert ", full in 1 s or more, waiting" in episode_line(pressure | {"exhaustion_s": 1.0})


def test_a_worst_minute_is_told_only_where_it_is_worse_than_the_whole_episode():
    def size(**facts):
        return episode_size({"kind": "failure", "state": "end", "attribution": "neither", **facts})

    rest = "neither in a burst nor under memory pressure"
    assert size(failures=19, completions=41, peak_ratio=0.07) == f"19 of 41 failed (46%), {rest}"
    assert size(failures=19, completions=41, peak_ratio=0.7) == f"19 of 41 failed (46%), worst minute 70%, {rest}"
    assert size(failures=1, completions=2, peak_ratio=0.5) == f"1 of 2 failed (50%), {rest}"
    assert size(failures=463, completions=1000, peak_ratio=0.464) == f"463 of 1000 failed (46%), {rest}"
    assert size(failures=3, completions=200, peak_ratio=None) == f"3 of 200 failed (1.5%), {rest}"
    assert size() == f"0 of 0 failed, {rest}"


def test_an_episode_of_a_kind_of_tomorrow_is_named_and_does_no_harm():
    assert episode_line({"kind": "drift", "state": "onset", "service": "chat"}) == "00:00:00Z DRIFT begins chat"
    assert episode_line({"kind": ["odd"], "state": "end"}).endswith("ends   ?")


@pytest.mark.parametrize("end", [10**30, 10**23, -(10**23), 1e23, float("nan"), float("inf"), "soon", [1]])
def test_an_episode_at_no_possible_time_is_malformed_and_nothing_worse(end):
    with pytest.raises(MALFORMED):  # what whoever reads the topic leaves out
        episode_line({"kind": "burst", "state": "end", "end": end})


def test_the_examples_in_the_wording_are_true():
    found = doctest.testmod(wording)
    assert found.attempted
    assert not found.failed


def test_the_screen_draws_at_any_width():
    for width in (40, 80, 200):
        console = Console(width=width, record=True, file=None, force_terminal=True)
        with console.capture() as captured:
            console.print(picture(3, NUMBERS, ["a burst"], ["metrics   http://x"]))
        assert "KV cache" in captured.get()


def test_without_a_terminal_a_line_comes_every_few_seconds():
    console = Console(force_terminal=False, record=True, width=300)
    with console.capture() as captured, Screen(console, ["metrics here"]) as screen:
        for second in range(12):
            screen.show(float(second), NUMBERS)
        screen.note("burst")
    lines = captured.get().splitlines()
    assert sum("rate 31.20/s" in line for line in lines) == 3
    assert "metrics here" in lines
    assert "burst" in lines


def test_numbers_come_from_the_page_by_name():
    page = "\n".join(
        [
            "# TYPE burstwatch_arrivals_total counter",
            'burstwatch_arrivals_total{service="a",model="m",log_type="x"} 5',
            'burstwatch_arrivals_total{service="a",model="n",log_type="x"} 6',
            "# TYPE burstwatch_interarrival_cv gauge",
            'burstwatch_interarrival_cv{service="a",model="all",log_type="all",window="1m"} 1.5',
            'burstwatch_interarrival_cv{service="a",model="m",log_type="x",window="1m"} 9',
            "# TYPE burstwatch_source_offset gauge",
            'burstwatch_source_offset{topic="llm.requests",partition="2"} 17',
            "",
        ]
    )
    numbers = read_numbers(page)
    assert numbers.services["a"].arrivals == 11
    assert numbers.services["a"].cv_1m == 1.5
    assert numbers.offsets == {("llm.requests", 2): 17}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"broker", "engine"}),
        ({"kafka": "k:9092"}, {"engine"}),
        ({"upstream": "http://e:8000"}, {"broker"}),
        ({"events": Path("x.csv")}, {"broker"}),
    ],
)
def test_each_mode_runs_only_what_it_needs(options, names):
    made = UpOptions(out=Path("/data"), **options)
    parts = [plan.broker(made, PLACES), plan.engine(made, PLACES)]
    assert {part.name for part in parts if part} == names


@pytest.mark.parametrize(
    ("options", "sends"),
    [
        ({}, True),
        ({"upstream": "http://e:8000"}, False),
        ({"upstream": "http://e:8000", "trace": Path("x.csv")}, True),
        ({"events": Path("x.csv")}, False),
    ],
)
def test_load_is_sent_only_where_it_is_ours_to_send(options, sends):
    assert UpOptions(out=Path("/data"), **options).sends_load == sends


def test_the_last_line_counts_what_the_run_saw():
    numbers = Numbers(services={"a": ServiceNumbers(arrivals=8819, completions=8800, failures=3, bursts=2)}, late=1)
    assert total_line(numbers) == ("a: 8,819 requests, 8,800 ended, 3 failed, 2 bursts; lost 0, late 1, dead letters 0")


def test_the_agents_configuration_survives_hostile_names():
    made = UpOptions(out=Path("/data"), events=Path('/tmp/we"ird\\name.csv'), service='a"b')
    config = tomllib.loads(plan.agent_config(made, PLACES))
    assert config["sources"][0]["path"] == '/tmp/we"ird\\name.csv'
    assert config["sources"][0]["service"] == 'a"b'


def test_an_earlier_runs_files_are_recognised():
    assert plan.moved_aside(["trace.csv", "trace.txt"]) == []  # a user's own file
    assert plan.moved_aside(["state", "trace.csv", "trace.manifest.json", "notes.txt", "previous"]) == [
        "state",
        "trace.csv",
        "trace.manifest.json",
    ]
