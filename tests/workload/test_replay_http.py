"""The replay against real servers: every request accounted for, failures by reason, what is given up, clean stops."""

import asyncio
import math

import numpy as np
import pytest
from aiohttp import web

from collector.schema.errors import OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_rows import TraceRow
from tests.support.engine_server import engine
from tests.support.replay_run import DONE, answer, counts, event, odd_server, play, rows
from workload.engine.scheduler import Pace as EnginePace
from workload.replay.options import Balance, Endpoint, ReplayOptions, SessionMode
from workload.replay.play import Rows, replay
from workload.replay.recorded import Recorded
from workload.trace.columns import Labels, OutcomeCode, Trace


def well(fields, _):
    said = fields["messages"] if "messages" in fields else [{"content": fields["prompt"]}]
    return answer(sum(len(message["content"].split()) for message in said), fields["max_tokens"])


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_every_request_reaches_the_engine_with_its_exact_sizes(endpoint):
    async def story():
        async with engine(max_waiting=500) as server:
            tally, summary = await play(f"{server.url}/v1", rows(60), endpoint=endpoint)
            return tally, summary, server._metrics.exposition().decode()

    tally, summary, metrics = asyncio.run(story())
    assert (60, 0, 0) == counts(tally)
    assert (60, 0, 1200, 600) == (tally.sent, tally.in_flight, tally.request_tokens, tally.response_tokens)
    assert 'vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1200.0' in metrics
    assert 'vllm:generation_tokens_total{engine="0",model_name="tiny"} 600.0' in metrics
    assert (60, 60, 60) == (tally.ttft.count, tally.latency.count, tally.send_lag.count)
    assert tally.ttft.quantile(0.5) <= tally.latency.quantile(0.5)
    assert summary["prompt_tokens"]["error_ratio_max"] == 0


def test_refusals_and_overlong_prompts_are_failures_by_reason_and_nothing_is_lost():
    async def story():
        pace = EnginePace(decode_tokens_per_s=200.0)
        async with engine(max_running=2, max_waiting=2, max_model_len=100, pace=pace) as server:
            return await play(f"{server.url}/v1", rows(30, gap_s=0.001) + rows(2, request=200))

    tally, summary = asyncio.run(story())
    ok, failed, cancelled = counts(tally)
    assert (32, 0) == (ok + failed, cancelled)
    assert tally.failures["context_length"] == 2
    assert tally.failures["overloaded"] == failed - 2 > 0
    assert ok > 0
    assert tally.latency.count == ok
    assert {"200": ok, "503": failed - 2, "400": 2} == summary["http_statuses"]


def test_a_stop_keeps_what_was_measured_and_cancels_the_rest(monkeypatch):
    monkeypatch.setattr("workload.replay.runner.DRAIN_S", 0.2)

    async def story():
        async with engine(pace=EnginePace(decode_tokens_per_s=20.0)) as server:
            mixed = sorted(
                rows(5, response=1) + rows(5, response=5000) + rows(2000, gap_s=0.5),
                key=lambda row: row.submitted_us,
            )
            tally, summary = await play(f"{server.url}/v1", mixed, stop_after_s=0.4, sessions=SessionMode.OPEN)
            await asyncio.sleep(0.2)
            return tally, summary, server.scheduler.busy

    tally, summary, busy = asyncio.run(story())
    ok, failed, cancelled = counts(tally)
    assert (0, tally.sent) == (tally.in_flight, ok + failed + cancelled)
    assert ok >= 5
    assert cancelled >= 5
    assert tally.sent < 50
    assert summary["interrupted"]
    assert not busy, "what the replay cancels, the engine drops"


def test_a_slow_answer_is_a_timeout():
    async def story():
        async with engine(pace=EnginePace(decode_tokens_per_s=5.0)) as server:
            return await play(f"{server.url}/v1", rows(2, response=100), timeout_s=0.3)

    assert {"timeout": 2} == asyncio.run(story())[0].failures


def given_up(outcome, reason=None, *, elapsed_s=0.4):
    return Recorded(
        submitted_us=0,
        elapsed_us=round(elapsed_s * 1e6),
        request_tokens=5,
        response_tokens=3,
        outcome=outcome,
        reason=reason,
    )


def test_what_the_recorded_clients_gave_up_is_given_up_after_the_same_time():
    async def story():
        async with engine(pace=EnginePace(decode_tokens_per_s=50.0)) as server:
            recorded = [given_up(Outcome.CANCELLED), given_up(Outcome.FAILED, "timeout"), *rows(2)]
            tally, _ = await play(f"{server.url}/v1", recorded)
            return tally, server.scheduler.busy

    tally, busy = asyncio.run(story())
    assert (2, 1, 1) == counts(tally)
    assert {"timeout": 1} == tally.failures
    assert tally.ttft.count == 4, "what had come before it was given up is kept"
    assert not busy


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (event(error={"message": "full", "code": 503}) + DONE, "overloaded"),
        (event(error={"message": "died", "code": 500}) + DONE, "backend_error"),
        (event("hi"), "backend_error"),  # cut off
        (b"", "backend_error"),
    ],
)
def test_a_200_that_carries_an_error_or_breaks_off_is_a_failure(body, reason):
    async def story():
        async with odd_server(lambda *_: body) as server:
            return await play(server.url, rows(3))

    assert {reason: 3} == asyncio.run(story())[0].failures


def test_the_request_says_what_the_row_says():
    async def story():
        async with odd_server(well) as server:
            await play(server.url, rows(4), api_key="k-1")
            return server.asked

    asked = asyncio.run(story())
    assert ["s-0", None, None, "s-3"] == [headers.get("x-session-id") for _, headers, _ in asked]
    assert ["ChatGPT", "GPT-4", "ChatGPT", "GPT-4"] == [body["model"] for body, _, _ in asked]
    assert {"Bearer k-1"} == {headers["Authorization"] for _, headers, _ in asked}
    for body, _, path in asked:
        assert (10, True, True, "/v1/chat/completions") == (
            body["max_tokens"],
            body["ignore_eos"],
            body["stream"],
            path,
        )
        assert len(body["messages"][0]["content"].split()) == 20


SESSION = [
    TraceRow(submitted_us=i * 20_000, session="s", request_tokens=9 * (i + 1), response_tokens=2) for i in range(3)
]


def test_a_closed_session_waits_for_its_answers_and_carries_them():
    kept = Rows()

    async def story():
        async def slow(fields, request):
            await asyncio.sleep(0.05)
            return well(fields, request)

        async with odd_server(slow) as server:
            tally, _ = await play(server.url, SESSION, observers=(kept,))
            return server, tally

    server, tally = asyncio.run(story())
    assert server.open_most == 1
    assert [1, 3, 5] == [len(body["messages"]) for body, _, _ in server.asked]
    assert [9, 18, 27] == [sum(len(m["content"].split()) for m in body["messages"]) for body, _, _ in server.asked]
    first, second, third = (row for _, row in sorted(kept.rows, key=lambda numbered: numbered[0]))
    assert (first["ended_s"], second["ended_s"]) == (second["planned_s"], third["planned_s"])
    # What waiting for answers moved is told, and apart from the send error.
    assert tally.session_lag.max_s == third["planned_s"] - third["due_s"] >= 0.06
    assert tally.send_lag.max_s == max(row["sent_s"] - row["planned_s"] for row in (first, second, third))


def test_an_open_session_does_not_wait_and_each_turn_is_alone():
    async def story():
        together = asyncio.Event()

        async def until_all_are_open(fields, request):
            if len(server.asked) == 3:
                together.set()
            await asyncio.wait_for(together.wait(), 10)
            return well(fields, request)

        async with odd_server(until_all_are_open) as server:
            await play(server.url, SESSION, sessions=SessionMode.OPEN)
            return server

    server = asyncio.run(story())
    assert server.open_most == 3
    assert [1, 1, 1] == [len(body["messages"]) for body, _, _ in server.asked]


@pytest.mark.parametrize("balance", list(Balance))
def test_several_servers_share_the_requests(balance):
    async def story():
        async def slow(fields, request):
            await asyncio.sleep(0.3)
            return well(fields, request)

        async with odd_server(slow) as first, odd_server(well) as second:
            _, summary = await play((first.url, second.url), rows(20, gap_s=0.01), balance=balance)
            return len(first.asked), len(second.asked), summary["endpoints"][first.url]["ok"]

    slow, quick, told = asyncio.run(story())
    assert slow + quick == 20
    assert told == slow
    assert slow == 10 if balance is Balance.ROUND_ROBIN else slow < 10


def test_what_failed_is_sent_again_only_if_asked_and_only_where_that_helps(monkeypatch):
    monkeypatch.setattr("workload.replay.runner.RETRY_S", 0.01)

    async def story(status, **options):
        tries = []

        def second_time_lucky(fields, request):
            tries.append(1)
            return well(fields, request) if len(tries) > 1 else (status, b'{"error":{"message":"not now"}}')

        async with odd_server(second_time_lucky) as server:
            tally, summary = await play(server.url, rows(1), **options)
            return counts(tally), summary["retries"], len(tries), tally.send_lag.count

    assert ((0, 1, 0), 0, 1, 1) == asyncio.run(story(503))
    assert ((1, 0, 0), 1, 2, 1) == asyncio.run(story(503, retries=2))
    assert ((0, 1, 0), 0, 1, 1) == asyncio.run(story(400, retries=2))


def test_a_warm_up_is_sent_and_not_counted():
    async def story(**options):
        async with odd_server(well) as server:
            tally, summary = await play(server.url, rows(10, gap_s=0.01), **options)
            return tally, (len(server.asked), tally.sent, summary["warm_up"], tally.latency.count)

    tally, told = asyncio.run(story(warm_up=3))
    assert (10, 7, 3, 7) == told
    assert tally.began_s >= 0.03, "and the rate is that of the time after it"
    assert (10, 5, 5, 5) == asyncio.run(story(warm_up_s=0.0499))[1]


def test_the_library_returns_each_request_as_columns_in_the_traces_order():
    async def piecewise(fields, request):
        if fields["max_tokens"] == 1:
            return (503, b'{"error":{"message":"full"}}')
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in (
            event(" a"),
            event(" b") + event(" c"),
            event(usage={"prompt_tokens": 21, "completion_tokens": 3}) + DONE,
        ):
            await response.write(piece)
            await asyncio.sleep(0.03)
        return response

    trace = Trace.build(
        np.asarray([0, 10_000, 20_000], np.int64),
        request_tokens=np.asarray([20, 20, 20], np.int32),
        response_tokens=np.asarray([3, 1, 3], np.int32),
        session=Labels.of(["s", None, None]),
    )

    async def story():
        async with odd_server(piecewise) as server:
            return await replay(trace, ReplayOptions(urls=(server.url,), model="x")), server.url

    found, url = asyncio.run(story())
    assert [0, 1, 2] == found.row.tolist()
    assert [OutcomeCode.OK, OutcomeCode.FAILED, OutcomeCode.OK] == found.outcome.tolist()
    assert [200, 503, 200] == found.http_status.tolist()
    assert [None, "overloaded", None] == found.reason.values()
    assert [3, 0, 3] == found.chunks.tolist()
    assert [21, -1, 21] == found.request_tokens.tolist()
    assert [url] * 3 == found.endpoint.values()
    assert ["s", None, None] == found.session.values()
    assert [0.0, 0.01, 0.02] == pytest.approx(found.due_s.tolist())
    assert (found.send_error_s >= 0).all()
    assert (found.session_lag_s == 0).all()
    good = found.outcome == OutcomeCode.OK
    assert (found.ttft_s[good] <= found.latency_s[good]).all()
    # Three chunks in two reads: one gap between the reads, none inside the second.
    assert (found.itl_p50_s[good] == 0).all()
    assert found.itl_mean_s[good] == pytest.approx(found.itl_max_s[good] / 2)
    assert found.tpot_s[good] == pytest.approx((found.ended_s - found.first_token_s)[good] / 2)
    assert math.isnan(found.ttft_s[1])
    measured = found.as_trace()
    assert [3, 0, 3] == measured.response_tokens.tolist()
    assert measured.elapsed_us.tolist() == pytest.approx((found.latency_s * 1e6).tolist(), abs=1)
    assert measured.absolute


def test_an_answer_is_whole_at_its_done_though_the_body_never_ends(monkeypatch):
    monkeypatch.setattr("workload.replay.client.END_S", 0.05)

    async def endless(_, request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(answer(20))
        await asyncio.sleep(60)
        return response

    async def story():
        async with odd_server(endless) as server:
            return await play(server.url, rows(3), timeout_s=5.0, sessions=SessionMode.OPEN)

    tally, _ = asyncio.run(story())
    assert counts(tally) == (3, 0, 0)
    assert tally.latency.quantile(1.0) < 5.0, "the end is [DONE], not the timeout"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"choices":[{"message":{"content":"hi"}}]}', "no stream of events: Content-Type text/event-stream"),
        (event(" w"), "ended without [DONE]"),
        (b'data: {"error":{"message":"out of  memory","code":500}}\n\n', "out of memory"),
    ],
)
def test_what_is_wrong_with_an_answer_of_status_200_is_told(body, told):
    async def story():
        async with odd_server(lambda *_: body) as server:
            return await play(server.url, rows(1))

    tally, summary = asyncio.run(story())
    assert counts(tally) == (0, 1, 0)
    assert told in summary["first_failure"]


def test_a_site_that_is_no_api_is_told_so():
    async def story():
        async def welcome(_):
            return web.Response(text="<html>welcome</html>", content_type="text/html")

        app = web.Application()
        app.router.add_get("/v1/models", welcome)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await play(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", rows(1))
        finally:
            await runner.cleanup()

    with pytest.raises(OperatorError, match="answers, but not with JSON; --url wants"):
        asyncio.run(story())
