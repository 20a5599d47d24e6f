"""What each benchmark tool wants of a BurstGPT file. Pure: a row goes in, the row that tool can use comes out.

The tools disagree: one finds columns by place, one refuses a whole file for one zero, one turns a recorded failure
into an endless generation. A profile writes down one tool's rules, each with where they were read.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from collector.schema.trace_rows import BURSTGPT_6, BURSTGPT_8, TraceRow

SECOND_US = 1_000_000

# Why a row is refused. These words are keys of the counts people are shown.
NO_REQUEST_TOKENS = "request tokens unknown"
NO_RESPONSE_TOKENS = "response tokens unknown"
ZERO_RESPONSE_TOKENS = "failed (0 response tokens)"
ZERO_REQUEST_TOKENS = "0 request tokens"


class Lengths(Protocol):
    """What a refusal looks at: a ``TraceRow``, or whatever else says the two lengths as it does."""

    @property
    def request_tokens(self) -> int | None:
        """None if not known."""

    @property
    def response_tokens(self) -> int | None:
        """None if not known, 0 for a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One reader's rules.

    Attributes:
        name: what the operator writes; ``about``: one line on what the file is for.
        columns: the file's header, in order.
        from_first_row: ``Timestamp`` is 0 at the first row that is kept (else what the caller's clock says).
        whole_seconds: ``Timestamp`` and ``Elapsed time`` without a fraction. No reader demands it, and it hides
            bursts within a second, so no profile has it: ``dataclasses.replace`` it where the operator asks.
        only_usable: rows that failed, or whose token numbers are unknown or zero, are left out.
        model: this text stands in every row's ``Model``; None keeps the row's own.
        rule: what the reader does, and where that was read.
    """

    name: str
    about: str
    columns: tuple[str, ...]
    from_first_row: bool = False
    whole_seconds: bool = False
    only_usable: bool = False
    model: str | None = None
    rule: str

    def refuses(self, row: Lengths) -> str | None:
        """Return why ``row`` cannot stand in this profile's file, None if it can."""
        if not self.only_usable:
            return None
        if row.request_tokens is None:
            return NO_REQUEST_TOKENS
        if row.response_tokens is None:
            return NO_RESPONSE_TOKENS
        if row.response_tokens == 0:
            return ZERO_RESPONSE_TOKENS
        return ZERO_REQUEST_TOKENS if row.request_tokens == 0 else None

    def apply(self, row: TraceRow, *, first_us: int = 0) -> TraceRow | None:
        """Return ``row`` as this profile writes it, None if it ``refuses`` it.

        ``first_us`` is the submission of the first row that was not refused; ``from_first_row`` counts from it.
        Raises ``ValueError`` if the row lies before it: the rows have to come in order.
        """
        if self.refuses(row) is not None:
            return None
        if self.model is None and not self.whole_seconds and not (self.from_first_row and first_us):
            return row
        submitted = row.submitted_us - first_us if self.from_first_row else row.submitted_us
        if submitted < 0:
            raise ValueError("a row lies before the first one; sort the rows by submission first")
        elapsed = row.elapsed_us
        if self.whole_seconds:
            submitted -= submitted % SECOND_US
            elapsed = None if elapsed is None else elapsed - elapsed % SECOND_US
        return replace(row, submitted_us=submitted, elapsed_us=elapsed, model=self.model or row.model)


_ALL = (
    Profile(
        name="paper",
        about="the eight columns of BurstGPT_3: everything the paper's schema can hold, failures too",
        columns=BURSTGPT_8,
        rule="github.com/HPMLL/BurstGPT, README: a failure has Response tokens 0; unknown values are empty cells.",
    ),
    Profile(
        name="paper-6",
        about="the six columns of BurstGPT_1 and _2: no Session ID, no Elapsed time; failures too",
        columns=BURSTGPT_6,
        rule="github.com/HPMLL/BurstGPT, README: Timestamp is whole seconds there; here a fraction is kept unless cut.",
    ),
    Profile(
        name="vllm",
        about="`vllm bench serve --dataset-name burstgpt`: six columns, no failures, every Model GPT-4",
        columns=BURSTGPT_6,
        from_first_row=True,
        only_usable=True,
        model="GPT-4",
        rule=(
            "vllm/benchmarks/datasets/burstgpt.py at 237145e: keeps rows whose Model is GPT-4 and whose Response "
            "tokens are above 0, then takes the lengths from the cells numbered 2 and 3 (from 0), whatever their "
            "names: with eight columns that is int('GPT-4'). A file with no such row is an error. Timestamp is "
            "not used."
        ),
    ),
    Profile(
        name="aiperf",
        about="`aiperf profile --custom-dataset-type burst_gpt_trace --fixed-schedule`: no failures, from 0",
        columns=BURSTGPT_6,
        from_first_row=True,
        only_usable=True,
        rule=(
            "ai-dynamo/aiperf, src/aiperf/dataset/loader/burst_gpt.py at 1acb369: by name; Timestamp is float "
            "seconds, both lengths int(); a row that does not parse is passed over in silence, and one with 0 "
            "Response tokens has the whole file refused (Turn.max_tokens is at least 1)."
        ),
    ),
    Profile(
        name="guidellm",
        about="guidellm's trace_synthetic data and replay profile: eight columns, no failures, from 0",
        columns=BURSTGPT_8,
        from_first_row=True,
        only_usable=True,
        rule=(
            "vllm-project/guidellm, src/guidellm/data/deserializers/trace_synthetic.py at 00ccea7: by the column "
            "names it is told (timestamp_column: Timestamp, prompt_tokens_column: Request tokens, "
            "output_tokens_column: Response tokens); an empty cell has the file refused, 0 Response tokens become "
            "a generation without an end; timestamps are 32-bit floats, so large ones lose their fraction."
        ),
    ),
    Profile(
        name="burstgpt-example",
        about="the paper's own example/profile_vllm_server.py --use_burstgpt: six columns, no failures, from 0",
        columns=BURSTGPT_6,
        from_first_row=True,
        only_usable=True,
        rule=(
            "HPMLL/BurstGPT, example/profile_server/server.py at f5ed893: by name; both lengths index an array, "
            "so one empty cell turns the column into floats and breaks it; it sleeps until each absolute "
            "Timestamp, so a trace that starts late waits that long; failed rows are sent like any other."
        ),
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}
