"""ServeGen's client files: how often one client asks, window by window, and how long its prompts and answers are.

Source: github.com/alibaba/ServeGen, servegen/clientpool.py (``_load_data``) and README at f891d11/765b7a2:
``chunk-I-trace.csv`` without a header: start_s, rate_per_s, cv, pattern (Gamma, Weibull, Exponential or empty), shape,
scale; and ``chunk-I-dataset.json``: {"start_s": {"input_tokens": "{100: 0.5, 200: 0.5}", ...}}, probabilities of
lengths as the text of a Python dict. ServeGen eval()s that text; here it is parsed and nothing is run. Such a file
holds no requests: ``requests`` draws some. Pure: chance comes in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gamma, isfinite

import numpy as np
from numpy.random import Generator

from collector.schema.errors import BadTrace
from workload.formats.reading import Reading, numbered
from workload.formats.record import Record
from workload.formats.values import json_object

NAME = "servegen-client"
NO_REQUESTS = (
    "a ServeGen client file: it holds rates and length distributions, not requests; "
    "`trace convert --format servegen-client --seed S` draws requests from it (its chunk-N-dataset.json beside it)"
)
PATTERNS = ("Gamma", "Weibull", "Exponential")
_CELLS = 6
_RATE_MAX = 100_000
_SHAPE_MIN = 0.01  # a CV of 10 for Gamma, of 10^58 for Weibull: nothing was ever fitted below
_CHUNK = 65_536
_PAIR = re.compile(r"\s*(\d{1,9})\s*:\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?)\s*(?:,|$)")

Lengths = Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window of one client. ``pattern`` None: the client is silent."""

    start_s: int
    rate_per_s: float
    cv: float
    pattern: str | None
    shape: float
    scale: float

    @property
    def mean_gap_s(self) -> float:
        """The mean gap of the fitted distribution."""
        if self.pattern == "Weibull":
            return self.scale * gamma(1 + 1 / self.shape)
        return self.shape * self.scale if self.pattern == "Gamma" else 1 / self.rate_per_s


def is_window(line: str) -> bool:
    """True if a CSV line looks like a window of a client."""
    try:
        parse_window(line)
    except ValueError:
        return False
    return True


def is_dataset(line: str) -> bool:
    """True if a text begins like a client's length distributions."""
    return re.match(r'\{\s*"\d+"\s*:\s*\{\s*"', line) is not None


def parse_window(line: str) -> Window:
    """Return one line of a client's trace file. Raises ``ValueError``."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != _CELLS:
        raise ValueError(f"a window has {_CELLS} cells, not {len(cells)}")
    numbers = [float(cells[i] or 0) for i in (1, 2, 4, 5)]
    if not all(isfinite(n) and n >= 0 for n in numbers) or not cells[0].isdigit() or len(cells[0]) > 12:
        raise ValueError("a window's numbers must be zero or more")
    rate, cv, shape, scale = numbers
    pattern = cells[3] or None
    if pattern is not None and (pattern not in PATTERNS or rate == 0):
        raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, with a rate above 0")
    if pattern in {"Gamma", "Weibull"} and (shape < _SHAPE_MIN or scale == 0):
        raise ValueError(f"shape must be at least {_SHAPE_MIN} and scale above 0")
    window = Window(start_s=int(cells[0]), rate_per_s=rate, cv=cv, pattern=pattern, shape=shape, scale=scale)
    if pattern is not None and not 1 / _RATE_MAX <= window.mean_gap_s < float("inf"):
        raise ValueError(f"no client sends more than {_RATE_MAX:,} requests a second")
    return window


def read_windows(lines: Iterable[bytes], reading: Reading) -> Iterator[Window]:
    """Return the windows of a client's trace file."""
    for line in numbered(lines, reading):
        try:
            window = parse_window(line)
        except ValueError as error:
            reading.bad(str(error))
        else:
            yield window


def parse_lengths(text: str) -> Lengths:
    """Return ``{100: 0.5, 200: 0.5}`` as length -> probability. Nothing is evaluated. Raises ``ValueError``."""
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise ValueError("lengths must look like {100: 0.5, 200: 0.5}")
    inner, found, at = inner[1:-1].strip(), {}, 0
    while at < len(inner):
        pair = _PAIR.match(inner, at)
        if pair is None:
            raise ValueError(f"lengths must look like {{100: 0.5, 200: 0.5}}, not {inner[at : at + 40]!r}")
        found[int(pair[1])] = float(pair[2])
        at = pair.end()
    return found


def parse_dataset(text: str) -> dict[int, dict[str, Lengths]]:
    """Return a client's distributions: window start -> field -> lengths. Windows with an empty one are left out.

    Raises ``BadTrace`` if the text is something else.
    """
    try:
        windows = json_object(text)
        parsed = {int(at): {name: parse_lengths(str(v)) for name, v in f.items()} for at, f in windows.items()}
    except (ValueError, AttributeError) as error:
        raise BadTrace(1, f"not a ServeGen dataset: {error}") from None
    return {at: fields for at, fields in sorted(parsed.items()) if fields and all(fields.values())}


def requests(
    windows: Iterable[Window], lengths: Mapping[int, Mapping[str, Lengths]], rng: Generator, *, last_window_s: int = 600
) -> Iterator[Record]:
    """Return requests drawn window by window: gaps from its distribution, lengths from the latest window that has some.

    Gaps run on from the window's start until its end (the next one's start; ``last_window_s`` for the last one), so a
    window's rate is that of its distribution. Without lengths the token numbers are unknown.
    """
    listed = sorted(windows, key=lambda window: window.start_s)
    starts = sorted(lengths)
    for i, window in enumerate(listed):
        end = listed[i + 1].start_s if i + 1 < len(listed) else window.start_s + last_window_s
        if window.pattern is None:
            continue
        latest = [at for at in starts if at <= window.start_s]
        fields = lengths[latest[-1]] if latest else {}
        for times in _times(window, end, rng):
            prompts, answers = (_draw(fields.get(name), len(times), rng) for name in ("input_tokens", "output_tokens"))
            for at, prompt, answer in zip(times, prompts, answers, strict=True):
                yield Record(submitted_us=round(at * 1e6), request_tokens=prompt, response_tokens=answer)


def _times(window: Window, end_s: int, rng: Generator) -> Iterator[list[float]]:
    """Return the window's times of arrival, in chunks: memory does not grow with its rate."""
    last = float(window.start_s)
    while last < end_s:
        n = min(int((end_s - last) / window.mean_gap_s * 1.1) + 16, _CHUNK)
        times = last + np.cumsum(_gaps(window, n, rng))
        last = float(times[-1])
        inside: list[float] = times[times < end_s].tolist()
        yield inside


def _gaps(window: Window, n: int, rng: Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if window.pattern == "Gamma":
        return rng.gamma(window.shape, window.scale, n)
    if window.pattern == "Weibull":
        return window.scale * rng.weibull(window.shape, n)
    return rng.exponential(1 / window.rate_per_s, n)


def _draw(lengths: Lengths | None, n: int, rng: Generator) -> list[int | None]:
    if not lengths:
        return [None] * n
    weights = np.array(list(lengths.values()))
    drawn: list[int | None] = rng.choice(np.array(list(lengths)), n, p=weights / weights.sum()).tolist()
    return drawn
