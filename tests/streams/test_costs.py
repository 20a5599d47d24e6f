"""What things cost, counted in calls instead of seconds: linear in events, nothing at a scrape."""

import cProfile
from collections.abc import Callable
from itertools import chain

from collector.schema.codec import Encoding, decode, encode
from streams.export.engine_samples import engine_gauges
from streams.export.prometheus import Page
from streams.export.samples import service_gauges
from streams.export.window_samples import window_samples
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.stats.pane_ring import PaneRing
from tests.support.worker_process import service_traffic


def calls(work: Callable[[], object]) -> int:
    """Python and C calls made, as the profiler counts them: the same at every run."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def bodies(messages: int, events: int, rate: float) -> list[bytes]:
    traffic = service_traffic("svc", messages, events, rate=rate)
    return [encode(decode(body), Encoding.BINARY) for _, body in traffic]


TRAFFIC = bodies(80, 30, 30.0)


def analysed(messages: list[bytes]) -> ServiceState:
    state = ServiceState("svc", AnalysisSettings())
    for offset, body in enumerate(messages):
        for _ in state.results(decode(body), offset):
            pass
    return state


def test_twice_the_events_make_twice_the_work():
    some, twice, four = (calls(lambda n=n: analysed(TRAFFIC[:n])) for n in (40, 80, 160))
    assert 1.8 < (four - twice) / (twice - some) < 2.2


def test_larger_messages_of_the_same_time_cost_no_more_calls():
    """Calls are made per message and per pane, never per event: what an event costs is arithmetic on arrays."""
    few, many = bodies(20, 20, 20.0), bodies(20, 160, 160.0)
    assert calls(lambda: analysed(many)) < 1.1 * calls(lambda: analysed(few))


def test_a_scrape_works_nothing_out_again(monkeypatch):
    state = analysed(TRAFFIC)
    rows = list(state.latest.values())
    assert rows

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a scrape must show what is known, not sum panes")

    for module in ("streams.processors.timeline.rows_at", "streams.processors.windows.window_stats"):
        monkeypatch.setattr(module, never)
    monkeypatch.setattr(PaneRing, "sums", never)
    page, _ = Page(lambda: chain(service_gauges(state), engine_gauges(state), window_samples([state], 10_000))).render()
    assert b"burstwatch_request_rate" in page
