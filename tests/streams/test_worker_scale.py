"""Thousands of services: every message is counted somewhere, the state is bounded, rounds stay short."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from faust.types import TP

from collector.schema.codec import decode, encode
from collector.schema.topics import REQUESTS
from streams.processors.settings import AnalysisSettings
from streams.worker import rounds
from streams.worker.app import StreamWorker
from streams.worker.flow import Flow
from streams.worker.run import read_samples
from tests.streams.test_worker_flow import FakeKafka, Message
from tests.support.service_messages import SECOND, START, Agent, arrival

SETTINGS = AnalysisSettings(windows_s=(10, 60))
HOUR_S = 3600.0
LIMIT = 60


def flow_of(kafka: FakeKafka) -> Flow:
    flow = kafka.flow()
    return _owning(flow, kafka)


def _owning(flow: Flow, kafka: FakeKafka) -> Flow:
    flow._kit = replace(flow._kit, services_max=LIMIT)
    flow.own(0, kafka.changelog)
    return flow


def message(offset: int, agent: Agent, at_s: float, *, events: int = 2) -> Message:
    at = START + round(at_s * SECOND)
    batch = agent.message([arrival(at + i) for i in range(events)], watermark=at + SECOND)
    return Message(offset, encode(batch), key=agent.key.encode(), timestamp=START / SECOND + at_s)


def story(services: int) -> list[Message]:
    """Each service speaks three times; the second half of them after the first has been silent for an hour."""
    agents = [Agent("a", f"boot-{i}", key=f"svc-{i:05}") for i in range(services)]
    half, found = services // 2, []
    for shift, group in ((0.0, agents[:half]), (2 * HOUR_S, agents[half:])):
        for turn in range(3):
            for agent in group:
                found.append(message(len(found), agent, shift + turn * 10 + len(found) / 1e4))
    return found


def totals(flow: Flow) -> dict[str, int]:
    states = flow.partitions[0].services
    return {name: sum(t.arrivals for t in state.totals.values()) for name, state in states.items()}


async def played(kafka: FakeKafka, messages: list[Message], *, restart_every: int = 0) -> Flow:
    flow = flow_of(kafka)
    for i, one in enumerate(messages):
        if restart_every and i and i % restart_every == 0:
            for _ in range(i // restart_every % 3):
                await flow.snapshot()
            flow = flow_of(kafka)
            for again in messages[flow.partitions[0].next_offset or 0 : i]:
                await flow.on_request(again)
        await flow.on_request(one)
    await flow.save_all()
    return flow


@pytest.mark.parametrize("services", [500, pytest.param(5000, marks=pytest.mark.slow)])
def test_thousands_of_services_need_the_state_of_the_budget_and_nothing_is_lost_or_counted_twice(services):
    async def run():
        kafka = FakeKafka()
        flow = await played(kafka, story(services))
        return flow, kafka

    flow, kafka = asyncio.run(run())
    partition, found = flow.partitions[0], totals(flow)
    assert len(found) == LIMIT + 1
    assert set(found) - {"other-0"} == {f"svc-{i:05}" for i in range(services // 2, services // 2 + LIMIT)}
    assert set(found.values()) - {found["other-0"]} == {6}
    # what the evicted had counted went with them; everything else is there
    assert sum(found.values()) == (services - LIMIT) * 6
    assert partition.services["other-0"].ledger.duplicates == 0
    assert {partition.services[n].ledger.missing for n in found if n != "other-0"} == {0}
    assert partition.durable_offset == 3 * services
    assert {key for key in kafka.changelog if key.startswith(b"s:")} == {f"s:0:{n}".encode() for n in found}
    assert flow.tally.dead_letters.total() == 0


def test_restarted_again_and_again_in_the_middle_the_same_services_hold_the_same_numbers():
    async def run():
        expected = await played(FakeKafka(), story(240))
        kafka = FakeKafka()
        found = await played(kafka, story(240), restart_every=60)
        return expected, found

    expected, found = asyncio.run(run())
    assert found.partitions[0].roster.dump() == expected.partitions[0].roster.dump()
    assert totals(found) == totals(expected)
    for name, state in expected.partitions[0].services.items():
        assert found.partitions[0].services[name].snapshot() == state.snapshot()


def test_a_service_that_comes_back_from_other_misses_nothing():
    async def run():
        kafka = FakeKafka()
        flow = flow_of(kafka)
        first = [Agent("a", "b", key=f"svc-{i}") for i in range(LIMIT)]
        late = Agent("a", "b", key="late")
        log = [(agent, 0.0) for agent in first] + [(late, float(s)) for s in range(1, 6)]
        log += [(late, 2 * HOUR_S), (late, 2 * HOUR_S + 1)]
        for offset, (agent, at_s) in enumerate(log):
            await flow.on_request(message(offset, agent, at_s))
        return flow

    flow = asyncio.run(run())
    state = flow.partitions[0].services["late"]
    assert (state.ledger.missing, state.ledger.messages, state.ledger.agents) == (0, 2, 1)
    assert totals(flow)["late"] == 4
    assert totals(flow)["other-0"] == 10
    assert flow.hears("late")


def test_heartbeats_take_nobodys_place():
    async def run():
        kafka = FakeKafka()
        flow = flow_of(kafka)
        for i in range(LIMIT):
            await flow.on_request(message(i, Agent(key=f"svc-{i}"), 0.0))
        await flow.on_request(message(LIMIT, Agent(key="idle"), 2 * HOUR_S, events=0))
        await flow.on_request(message(LIMIT + 1, Agent(key="busy"), 2 * HOUR_S))
        return flow

    names = set(asyncio.run(run()).partitions[0].services)
    assert "idle" not in names
    assert "busy" in names
    assert "svc-0" not in names


def test_a_round_takes_the_longest_waiting_up_to_its_size_and_claims_no_more(monkeypatch):
    monkeypatch.setattr(rounds, "ROUND_BYTES", 25_000)

    async def run():
        kafka = FakeKafka()
        flow = kafka.flow()
        agents = [Agent(key=f"svc-{i}") for i in range(100)]
        for offset, agent in enumerate(agents):
            await flow.on_request(message(offset, agent, 0.0))
        turns, told = 0, []
        working = asyncio.ensure_future(flow.snapshot())
        while not working.done():
            await asyncio.sleep(0)
            turns += 1
        told.append(flow.partitions[0].durable_offset)
        await flow.on_request(message(100, agents[0], 1.0))  # the first is due again, behind the others
        while told[-1] < 101:
            await flow.snapshot()
            told.append(flow.partitions[0].durable_offset)
            restored = kafka.flow()  # a crash after any round
            assert restored.partitions[0].next_offset == told[-1]
        return kafka, turns, told, flow

    kafka, turns, told, flow = asyncio.run(run())
    assert len(told) > 3
    assert told == sorted(told)
    assert [commit[0] for commit in kafka.commits] == told
    assert turns > 3
    shown = {s.name: s.value for s in read_samples(flow, 0.0, "1") if s.labels == ("0",)}
    assert (shown["burstwatch_services_kept"], shown["burstwatch_services_unsaved"]) == (100, 0)


def test_a_round_cut_off_in_the_middle_leaves_its_services_to_the_next(monkeypatch):
    """SIGTERM comes while states are being encoded: the last snapshots must hold them."""

    async def run():
        kafka = FakeKafka()
        flow = flow_of(kafka)
        for i in range(60):
            await flow.on_request(message(i, Agent(key=f"svc-{i}"), 0.0))
        working = asyncio.ensure_future(flow.snapshot())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert not kafka.changelog
        await flow.save_all()
        return kafka

    kafka = asyncio.run(run())
    assert len(kafka.changelog) == 61


def test_a_batch_for_another_service_is_still_decoded_as_it_was_sent():
    """Names of agents of services in "other" are longer than the wire allows; they never go on the wire."""
    agent = Agent("a" * 128, key="b" * 128)
    assert decode(encode(agent.message([arrival(START)], watermark=START))).agent == "a" * 128


def test_services_that_gave_up_their_place_are_not_remembered_for_their_silence():
    async def run():
        kafka = FakeKafka()
        flow, now_s = flow_of(kafka), [0.0]
        flow._clock = lambda: now_s[0]
        for one in story(4 * LIMIT):
            now_s[0] = one.timestamp
            await flow.on_request(one)
        await flow.save_all()
        return flow

    flow = asyncio.run(run())
    assert len(flow._heard_s) <= LIMIT + 1


def test_partitions_taken_away_while_they_are_being_taken_over_are_not_owned():
    async def run():
        partitions = {TP(REQUESTS, number) for number in range(50)}
        worker = StreamWorker.__new__(StreamWorker)
        worker.flow = FakeKafka().flow()
        worker.app = SimpleNamespace(consumer=SimpleNamespace(assignment=lambda: partitions))
        worker._table = SimpleNamespace(data=SimpleNamespace(data={}))
        worker._revocations = 0
        taking_over = asyncio.create_task(worker._on_recovered())
        await asyncio.sleep(0)
        assert 0 < len(worker.flow.partitions) < 50  # the loop decides how far it came
        await worker._on_revoked(None, partitions)
        await taking_over
        return worker.flow.partitions

    assert asyncio.run(run()) == {}
