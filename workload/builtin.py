"""The built-in workload: a trace made from BurstGPT's published statistics, with real bursts in it.

Pure: the same Generator state gives the same rows. Two streams of requests are drawn and merged:
- API: a Gamma renewal process whose rate jumps 5-10 times for 8-20 s about once a minute.
- Conversation: sessions begin like a Poisson process and hold turns apart by log-normal think times.

What is not modelled: time of day, the correlation of request and response length, failures (the engine
makes its own). Lengths follow the published quantiles; beyond p99 they are cut (see ``REQUEST_TOKENS_MAX``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.schema.events import API_LOG, CONVERSATION_LOG
from collector.schema.trace_rows import TraceRow

Floats = NDArray[np.float64]

# The paper's demo shape (alpha 0.5, CV 1.41); BurstGPT_3's API CV in 5-min windows has p50 1.50.
API_GAMMA_SHAPE = 0.5
# BurstGPT_3 has 1 conversation request in 21; with so few, a demo of minutes would show none. Assumption: 1 in 7.
CONVERSATION_SHARE = 1 / 7
RATE_PER_S = 5.0  # base load, bursts apart; the default engine carries it at 20-40 % of its cache

# Burst episodes. The paper reports bursts without tabulating them; sizes are chosen so the default engine's
# cache fills and recovers (see workload/engine/constants.py).
BURST_FACTOR = (5.0, 10.0)
BURST_DURATION_S = (8.0, 20.0)
BURST_QUIET_S = (45.0, 75.0)  # end of one to the start of the next
BURST_FIRST_S = (40.0, 50.0)  # a quiet stretch first, so a baseline exists

# Share of GPT-4. Whole file 3: 754,536 of 4,956,058. Conversation: 0.323 is what makes the published means
# by model (785/1,304 request, 198/427 response) meet the means of all (953, 272); the API share follows.
GPT4_SHARE = {API_LOG: 0.144, CONVERSATION_LOG: 0.323}

# Token quantiles, BurstGPT_3 by log type: p50, p90, p99 published; the ends are chosen so that log-linear
# interpolation also meets the published mean (API 457 and 68.9, conversation response 272) within 5 %.
QUANTILES = (0.0, 0.5, 0.9, 0.99, 1.0)
API_REQUEST_TOKENS = (20.0, 326.0, 794.0, 3141.0, 6000.0)
API_RESPONSE_TOKENS = (1.0, 14.0, 111.0, 804.0, 2000.0)
CONVERSATION_RESPONSE_TOKENS = (5.0, 187.0, 669.0, 1067.0, 1300.0)
# Conversation response means by model over the mean of all.
RESPONSE_SCALE = {"ChatGPT": 198 / 272, "GPT-4": 427 / 272}

# Sessions (file 3): P(turns = 1..10), then a geometric tail up to p99 = 31. Mean 4.18 published.
TURNS = (0.355, 0.204, 0.119, 0.076, 0.051, 0.037, 0.028, 0.021, 0.018, 0.013)
TURNS_MAX = 31
TURNS_TAIL_RATIO = 0.9
# Submit-to-submit think time: log-normal mu 5.18, sigma 1.96 (median 178 s). Cut at an hour: longer ones
# cannot be seen in a trace of minutes and would only lengthen the warm-up.
THINK_S_MU = 5.18
THINK_S_SIGMA = 1.96
THINK_S_MAX = 3600.0
WARM_UP_S = 6 * 3600.0  # sessions that began before the trace and still go on
# Turn 1 mean 170 tokens; growth per turn p10 -124, p50 +125, p90 +642 (ends chosen; mean +187 published).
FIRST_TURN_TOKENS_MU = 4.64  # exp(4.64 + 1.0 / 2) = 171
FIRST_TURN_TOKENS_SIGMA = 1.0
GROWTH_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
GROWTH_TOKENS = (-400.0, -124.0, 125.0, 642.0, 900.0)
# The tail beyond p99 (to 125,591) is cut: the default engine's context is 8,192 and failures are to come
# from memory pressure, not from prompts that can never fit.
REQUEST_TOKENS_MAX = 6000


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """One episode: from ``start_s``, ``duration_s`` long, API arrivals come ``factor`` times as fast."""

    start_s: float
    duration_s: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The rows, sorted by time, and where the bursts were put (the truth a detector can be judged by)."""

    rows: tuple[TraceRow, ...]
    bursts: tuple[Burst, ...]


def generate(rng: np.random.Generator, *, duration_s: float, rate_per_s: float = RATE_PER_S) -> Workload:
    """Return a trace of ``duration_s`` seconds with ``rate_per_s`` requests a second outside the bursts.

    Times are microseconds from the trace's start; sessions are tokens ``s-<16 hex digits>``.
    """
    bursts = tuple(_bursts(rng, duration_s))
    api_rate = rate_per_s * (1.0 - CONVERSATION_SHARE)
    rows = [*_api_rows(rng, api_arrivals(rng, duration_s=duration_s, rate_per_s=api_rate, bursts=bursts))]
    rows += _conversation_rows(rng, duration_s, rate_per_s * CONVERSATION_SHARE)
    rows.sort(key=lambda row: row.submitted_us)
    return Workload(rows=tuple(rows), bursts=bursts)


def _bursts(rng: np.random.Generator, duration_s: float) -> Iterator[Burst]:
    start_s = float(rng.uniform(*BURST_FIRST_S))
    while start_s < duration_s:
        length_s = float(rng.uniform(*BURST_DURATION_S))
        yield Burst(start_s=start_s, duration_s=length_s, factor=float(rng.uniform(*BURST_FACTOR)))
        start_s += length_s + float(rng.uniform(*BURST_QUIET_S))


def api_arrivals(rng: np.random.Generator, *, duration_s: float, rate_per_s: float, bursts: Sequence[Burst]) -> Floats:
    """Return arrival times in [0, duration_s): a Gamma renewal process run on stretched time.

    Time rescaling: gaps of mean 1 are laid on the axis of expected counts and carried back through the
    inverse of the (piecewise linear) expected count, so the shape is the same inside and outside bursts.
    """
    edges, rates = [0.0], []
    for burst in bursts:
        end_s = min(burst.start_s + burst.duration_s, duration_s)
        edges += [burst.start_s, end_s]
        rates += [rate_per_s, rate_per_s * burst.factor]
    if edges[-1] < duration_s:
        edges.append(duration_s)
        rates.append(rate_per_s)
    expected = np.concatenate(([0.0], np.cumsum(np.diff(edges) * np.asarray(rates))))
    # Six standard deviations more than expected; a renewal count's variance is about mean / shape.
    count = int(expected[-1] + 6.0 * np.sqrt(expected[-1] / API_GAMMA_SHAPE) + 10.0)
    ticks = np.cumsum(rng.gamma(API_GAMMA_SHAPE, 1.0 / API_GAMMA_SHAPE, count))
    times_s: Floats = np.interp(ticks[ticks < expected[-1]], expected, np.asarray(edges))
    return times_s


def _api_rows(rng: np.random.Generator, times_s: Floats) -> Iterator[TraceRow]:
    n = len(times_s)
    request = draw_tokens(rng, n, API_REQUEST_TOKENS)
    response = draw_tokens(rng, n, API_RESPONSE_TOKENS)
    gpt4 = rng.random(n) < GPT4_SHARE[API_LOG]
    for at_s, asked, answered, is_gpt4 in zip(times_s, request, response, gpt4, strict=True):
        yield TraceRow(
            submitted_us=int(at_s * 1e6),
            model="GPT-4" if is_gpt4 else "ChatGPT",
            request_tokens=int(asked),
            response_tokens=int(answered),
            log_type=API_LOG,
        )


def draw_tokens(rng: np.random.Generator, n: int, quantiles: Sequence[float]) -> Floats:
    """Return ``n`` lengths whose quantiles are ``quantiles`` (at ``QUANTILES``), log-linear between them."""
    return np.rint(np.exp(np.interp(rng.random(n), QUANTILES, np.log(quantiles))))


def _conversation_rows(rng: np.random.Generator, duration_s: float, rate_per_s: float) -> Iterator[TraceRow]:
    turn_counts = np.arange(1, TURNS_MAX + 1)
    chances = turn_chances()
    span_s = WARM_UP_S + duration_s
    sessions = rng.poisson(span_s * rate_per_s / float(turn_counts @ chances))
    for began_s in rng.uniform(-WARM_UP_S, duration_s, sessions):
        turns = int(rng.choice(turn_counts, p=chances))
        name = f"s-{rng.bytes(8).hex()}"
        model = "GPT-4" if rng.random() < GPT4_SHARE[CONVERSATION_LOG] else "ChatGPT"
        at_s = began_s + np.concatenate(([0.0], np.cumsum(_think_s(rng, turns - 1))))
        request = _turn_tokens(rng, turns)
        response = np.rint(draw_tokens(rng, turns, CONVERSATION_RESPONSE_TOKENS) * RESPONSE_SCALE[model])
        for place in np.flatnonzero((at_s >= 0.0) & (at_s < duration_s)):
            yield TraceRow(
                submitted_us=int(at_s[place] * 1e6),
                session=name,
                model=model,
                request_tokens=int(request[place]),
                response_tokens=max(1, int(response[place])),
                log_type=CONVERSATION_LOG,
            )


def turn_chances() -> Floats:
    """Return P(turns = 1..TURNS_MAX): the published table, then what is left in a geometric tail."""
    tail = TURNS_TAIL_RATIO ** np.arange(TURNS_MAX - len(TURNS))
    return np.concatenate((TURNS, tail / tail.sum() * (1.0 - sum(TURNS))))


def _think_s(rng: np.random.Generator, n: int) -> Floats:
    return np.minimum(rng.lognormal(THINK_S_MU, THINK_S_SIGMA, n), THINK_S_MAX)


def _turn_tokens(rng: np.random.Generator, turns: int) -> Floats:
    """Return request tokens turn by turn: the history grows, and sometimes shrinks (edits, truncation)."""
    tokens = np.empty(turns)
    tokens[0] = rng.lognormal(FIRST_TURN_TOKENS_MU, FIRST_TURN_TOKENS_SIGMA)
    for turn in range(1, turns):
        grown = tokens[turn - 1] + np.interp(rng.random(), GROWTH_QUANTILES, GROWTH_TOKENS)
        tokens[turn] = max(grown, 10.0)
    return np.clip(np.rint(tokens), 1.0, REQUEST_TOKENS_MAX)
