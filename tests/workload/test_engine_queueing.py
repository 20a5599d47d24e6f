"""The simulated engine against queueing theory, in virtual time.

Each formula holds for an idealised server, so each test strips the engine down to it: a step costs the same whatever
the batch (``decode_s_per_sequence`` 0) and prompts cost nothing, so a request of n tokens is a job of n steps; a
cache, queue and token budget that never bind. What is left of the engine is that a job begins at the next step's
boundary, not at once: at most one step late, which is small against a job, and allowed for.
"""

from math import factorial

import numpy as np
import pytest

from workload.engine.scheduler import Limits, Pace
from workload.engine.virtual import run_virtual
from workload.trace.columns import OutcomeCode, Trace

STEP_S = 0.002
STEADY = Pace(decode_tokens_per_s=1 / STEP_S, prefill_tokens_per_s=1e15, decode_s_per_sequence=0.0)
MEAN_TOKENS = 200
MU = 1 / (MEAN_TOKENS * STEP_S)  # jobs a second of one server
BOUNDLESS = {"kv_blocks": 10**9, "max_waiting": 10**9, "max_batched_tokens": 10**9, "max_model_len": 10**9}
SE = 3.5  # standard errors between simulation and formula


def poisson_jobs(seed, n, rate, tokens):
    at_s = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, n))
    return Trace.build(
        (at_s * 1e6).astype(np.int64),
        request_tokens=np.ones(n, np.int32),
        response_tokens=tokens.astype(np.int32),
    )


def exponential_like(seed, n):
    return np.random.default_rng(seed + 1000).geometric(1 / MEAN_TOKENS, n)


def serve(trace, *, servers=10**9, pace=STEADY, **limits):
    run = run_virtual(trace, Limits(max_running=servers, **{**BOUNDLESS, **limits}), pace)
    assert "kv_blocks" in limits or (run.outcome == OutcomeCode.OK).all()
    return run


def wait_s(run):
    return run.admitted_s - run.arrived_s


def batch_error(values, batches=20):
    """Mean and its standard error by batch means: waits of neighbours are alike."""
    means = np.array([part.mean() for part in np.array_split(values, batches)])
    return values.mean(), means.std(ddof=1) / np.sqrt(batches)


def erlang_c(servers, load):
    """The chance that all servers of M/M/c are busy (Erlang 1917); ``load`` = rate / service rate."""
    last = load**servers / factorial(servers) / (1 - load / servers)
    return last / (sum(load**k / factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize(
    "limits",
    [{}, {"kv_blocks": 40, "max_waiting": 10**9}, {"kv_blocks": 40, "max_waiting": 8}, {"servers": 3}],
    ids=["boundless", "preempting", "refusing", "three servers"],
)
def test_littles_law_holds_to_rounding_whatever_the_engine_does(limits):
    """Integral of the number inside = sum of times inside: the scheduler's counts against the requests' own times."""
    rng = np.random.default_rng(5)
    trace = poisson_jobs(5, 1000, 12.0, rng.integers(1, 200, 1000))
    run = serve(trace, pace=Pace(decode_tokens_per_s=200.0), **{"block_tokens": 16, **limits})
    line = run.timeline
    served = run.outcome == OutcomeCode.OK
    if "kv_blocks" in limits:
        assert line.preempted.sum() > 20
    before_seen_s = (run.seen_s - run.arrived_s)[served].sum()  # arrived while a step ran: not yet in the queue
    inside_s = ((line.running + line.waiting) * (line.end_s - line.begin_s)).sum() + before_seen_s
    sojourns_s = (run.ended_s - run.arrived_s)[served].sum()
    assert inside_s == pytest.approx(sojourns_s, rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "busy", "n"),
    [(2, 0.6, 10_000), (8, 0.75, 10_000), pytest.param(8, 0.85, 100_000, marks=pytest.mark.slow)],
)
def test_with_exponential_jobs_waiting_is_erlang_c(servers, busy, n):
    rate = busy * servers * MU
    run = serve(poisson_jobs(servers, n, rate, exponential_like(servers, n)), servers=servers)
    waits = wait_s(run)[n // 20 :]
    chance = erlang_c(servers, rate / MU)
    found, error = batch_error((waits > STEP_S).astype(float))
    print(f"\nM/M/{servers} at {busy}: P(wait) {found:.4f} +- {error:.4f}, Erlang C {chance:.4f}")
    assert abs(found - chance) < SE * error + 0.01
    theory_s = chance / (servers * MU - rate)
    found_s, error_s = batch_error(waits)
    print(f"  mean wait {found_s:.4f} +- {error_s:.4f} s, theory {theory_s:.4f} s")
    assert abs(found_s - theory_s) < SE * error_s + STEP_S
    assert error_s < 0.15 * theory_s  # the comparison says something


@pytest.mark.parametrize("lengths", ["fixed", "exponential", "log-normal"])
def test_one_server_waits_as_pollaczek_and_khinchine_say(lengths):
    n, busy = 8_000, 0.6
    rng = np.random.default_rng(11)
    tokens = {
        "fixed": np.full(n, MEAN_TOKENS),
        "exponential": exponential_like(11, n),
        "log-normal": np.maximum(1, np.rint(rng.lognormal(np.log(MEAN_TOKENS) - 0.32, 0.8, n))),
    }[lengths]
    job_s = tokens * STEP_S
    rate = busy / job_s.mean()
    theory_s = rate * (job_s**2).mean() / (2 * (1 - busy))
    found_s, error_s = batch_error(wait_s(serve(poisson_jobs(12, n, rate, tokens), servers=1)))
    print(f"\nM/G/1 {lengths}: mean wait {found_s:.4f} +- {error_s:.4f} s, Pollaczek-Khinchine {theory_s:.4f} s")
    assert abs(found_s - theory_s) < SE * error_s + STEP_S
    assert error_s < 0.2 * theory_s


def test_fixed_jobs_on_many_servers_follow_kiefer_and_wolfowitz_job_by_job():
    """M/D/c, path by path: the recursion knows nothing of steps; starts agree to the steps they queue behind."""
    n, servers = 3_000, 6
    trace = poisson_jobs(3, n, 0.9 * servers * MU, np.full(n, MEAN_TOKENS))
    run = serve(trace, servers=servers)
    free_s, starts = np.zeros(servers), []
    for at_s in run.arrived_s:
        first = free_s.argmin()
        starts.append(max(at_s, free_s[first]))
        free_s[first] = starts[-1] + MEAN_TOKENS * STEP_S
    late_s = run.admitted_s - np.array(starts)
    waited = np.array(starts) - run.arrived_s
    assert (waited > 0).mean() > 0.5
    # A start slips to the step's end, and hands that on to the job behind it.
    assert late_s.min() > -1e-9
    assert late_s.mean() < 0.05 * waited.mean()
    assert np.corrcoef(wait_s(run), waited)[0, 1] > 0.999


def test_without_bounds_the_number_running_is_poisson():
    """M/G/inf: mean and variance are both rate * mean job, whatever the lengths (insensitivity)."""
    n, rate = 10_000, 12.5
    tokens = np.maximum(1, np.rint(np.random.default_rng(2).lognormal(np.log(MEAN_TOKENS) - 0.5, 1.0, n)))
    run = serve(poisson_jobs(7, n, rate, tokens))
    offered = rate * tokens.mean() * STEP_S
    # Far apart against the length of a job, so that samples are nearly independent; the warm-up is left out.
    line = run.timeline
    places = line.at(np.arange(30.0, run.arrived_s[-1], 2.0))
    running = np.where(places < 0, 0, line.running[places])
    m = len(running)
    print(f"\nM/G/inf: mean {running.mean():.3f}, variance {running.var():.3f}, offered {offered:.3f} ({m} samples)")
    assert abs(running.mean() - offered) < SE * np.sqrt(offered / m) * 1.2
    assert abs(running.var(ddof=1) - offered) < SE * offered * np.sqrt(2 / m) * 1.2
    # A Poisson number is seldom far above its mean; a burstier one would be.
    assert 0.5 < (running > offered + 2 * np.sqrt(offered)).mean() / 0.0342 < 1.7


def test_the_cache_is_used_as_campbells_formula_says():
    """Mean blocks held = rate * mean of a request's token-seconds: step j of a request holds prompt + j tokens."""
    n, rate = 8_000, 10.0
    rng = np.random.default_rng(4)
    asked, answered = rng.geometric(1 / 300, n), exponential_like(4, n)
    trace = poisson_jobs(8, n, rate, answered)
    trace.request_tokens[:] = asked
    run = serve(trace, block_tokens=1)
    token_s = (asked * answered + answered * (answered - 1) / 2).mean() * STEP_S
    span_s = run.arrived_s[-1]
    line = run.timeline
    # A leap tells the blocks at its end; one block a running request and step less is the mean of it.
    steps = np.rint((line.end_s - line.begin_s) / STEP_S)
    mean = ((line.blocks - line.running * (steps - 1) / 2) * (line.end_s - line.begin_s)).sum() / span_s
    parts = np.array([part.mean() for part in np.array_split(asked * answered + answered**2 / 2, 20)])
    error = rate * STEP_S * parts.std(ddof=1) / np.sqrt(20) + rate * token_s / np.sqrt(n)
    print(f"\nCampbell: mean {mean:.1f} blocks, rate * token-seconds {rate * token_s:.1f} +- {error:.1f}")
    assert abs(mean - rate * token_s) < SE * error
    assert error < 0.06 * rate * token_s
