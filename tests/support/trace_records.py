"""Records as Hypothesis makes them, for each format only what that format has room for."""

from hypothesis import strategies as st

from collector.schema.events import Outcome, Reason
from collector.schema.trace_rows import LOG_TYPES
from tests.support.events import TOKENS
from workload.formats.record import Record

TIMES = st.integers(0, 2**51 - 1)  # the year 2041: beyond, JSON fractions no longer tell microseconds apart
ELAPSED = st.integers(0, 10**11)
COUNTS = st.integers(0, 10**7)
IDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=6).map(tuple)

FIELDS = {
    "session": TOKENS,
    "elapsed_us": ELAPSED,
    "first_token_us": ELAPSED,
    "model": TOKENS,
    "request_tokens": COUNTS,
    "response_tokens": COUNTS,
    "cached_tokens": COUNTS,
    "log_type": st.sampled_from(sorted(LOG_TYPES)),
    "service": TOKENS,
    "outcome": st.sampled_from([str(outcome) for outcome in Outcome]),
    "reason": st.sampled_from([str(reason) for reason in Reason]),
    "request_id": TOKENS,
}
SIDECAR_OTHER = st.fixed_dictionaries(
    {},
    optional={"http_status": COUNTS, "reasoning_tokens": COUNTS, "stream": st.booleans(), "source": TOKENS,
              "node": TOKENS, "finish_reason": TOKENS, "reason_raw": TOKENS},
).map(lambda other: other or None)  # fmt: skip


def holding(*names, times=TIMES, **fixed):
    """Return records with values, or none, in the columns ``names``."""
    # Not st.builds: of a named tuple it fills also the fields it was not asked for.
    columns = {"submitted_us": times, **{n: st.none() | FIELDS[n] for n in names}, **fixed}
    return st.fixed_dictionaries(columns).map(lambda values: Record(**values))


def blocks(size):
    """Return what a record's blocks of ``size`` tokens are built from."""
    return {"hash_ids": IDS, "block_tokens": st.just(size)}


@st.composite
def optional_blocks(draw, *names, size):
    """Return records of which some have block ids and some have none."""
    if draw(st.booleans()):
        return draw(holding(*names))
    return draw(holding(*names, **blocks(size)))


RAGPULSE_IDS = st.dictionaries(st.sampled_from(["sys_prompt", "history"]), IDS, min_size=1).map(
    lambda ids: {"ragpulse_ids": ids}
)


@st.composite
def chats(draw):
    """Return Bailian's records: chats with numbers, each a session's first or its next turn."""
    numbers = draw(st.lists(st.integers(0, 10**9), unique=True, max_size=6))
    turns: dict[str, int] = {}
    records = []
    for number in numbers:
        root = draw(st.sampled_from([str(number), *turns]))
        turns[root] = turns.get(root, 0) + 1
        record = draw(holding("request_tokens", "response_tokens", **blocks(16)))
        records.append(
            record._replace(request_id=str(number), session=root, other={"type": "text", "turn": turns[root]})
        )
    return records


@st.composite
def dynamo_requests(draw):
    """Return Dynamo's records: whole milliseconds, ids, and sessions on all of them or on none."""
    with_sessions = draw(st.booleans())
    request = holding(
        "model", "request_tokens", "response_tokens", "cached_tokens", "first_token_us",
        times=st.integers(0, 10**12).map(lambda ms: ms * 1000),
        elapsed_us=ELAPSED, request_id=TOKENS, session=TOKENS if with_sessions else st.none(),
        other=st.none() | TOKENS.map(lambda name: {"parent_session": name}) if with_sessions else st.none(),
        hash_ids=IDS, block_tokens=st.integers(1, 1024),
    )  # fmt: skip
    return draw(st.lists(request, max_size=5))


def _lists(records):
    return st.lists(records, max_size=5)


BY_FORMAT = {
    "burstgpt-6": _lists(holding("model", "request_tokens", "response_tokens", "log_type")),
    "burstgpt-8": _lists(holding("session", "elapsed_us", "model", "request_tokens", "response_tokens", "log_type")),
    "azure": _lists(holding("request_tokens", "response_tokens")),
    "mooncake": _lists(holding("request_tokens", "response_tokens", **blocks(512))),
    "ragpulse": _lists(holding("request_tokens", "response_tokens", "session", other=st.none() | RAGPULSE_IDS)),
    "bailian": chats(),
    "servegen": _lists(
        holding("request_tokens", "response_tokens", request_id=st.integers(0, 10**9).map(str))
    ),
    "dynamo": dynamo_requests(),
    "vllm-timed": _lists(holding("request_tokens", "response_tokens", **blocks(16))),
    "aiperf-mooncake": _lists(optional_blocks("request_tokens", "response_tokens", "session", size=512)),
    "guidellm-jsonl": _lists(holding("request_tokens", "response_tokens", "elapsed_us")),
    "sidecar": _lists(holding(*FIELDS, other=SIDECAR_OTHER)),
    "parquet": _lists(holding(*FIELDS, **blocks(64), other=st.none() | st.just({"turn": 3}))),
}  # fmt: skip
