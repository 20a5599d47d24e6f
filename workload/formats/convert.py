"""From one format's records to another's: in order of time, counted from the right instant, told what is lost. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappushpop
from operator import attrgetter

from collector.schema.columns import TIME_US_MAX
from collector.schema.errors import OperatorError
from collector.schema.events import Outcome
from collector.schema.trace_rows import format_seconds
from workload.formats.format import Format, Zero
from workload.formats.record import COLUMNS, Record
from workload.formats.told import Told

DAY_US = 86_400_000_000
SECOND_US = 1_000_000
REORDER_ROWS = 10_000

# Not counted when lost: the outcome says more below, a block's size goes with its ids, `other` by what is in it.
_SAID_ELSEWHERE = frozenset({"outcome", "block_tokens", "other"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to convert.

    Attributes:
        zero: where times count from; None: as the target wants.
        origin_us: the instant (microseconds since the epoch) that is 0 on the side whose times have no date.
        reorder_rows: a row may stand this many rows too late and is still put in its place; 0: file order is kept;
            None: the whole file is held and sorted.
        whole_seconds: times are cut to whole seconds.
        limit: rows written at most.
    """

    zero: Zero | None = None
    origin_us: int | None = None
    reorder_rows: int | None = REORDER_ROWS
    whole_seconds: bool = False
    limit: int | None = None


def converted(
    records: Iterable[Record], source: Format, target: Format, wanted: Wanted, told: Told
) -> Iterator[Record]:
    """Return the records as ``target`` is to hold them; ``told`` counts as they are drawn.

    Memory holds ``wanted.reorder_rows`` rows. Raises ``OperatorError`` for a row further out of order than that, or
    one before the instant that times count from.
    """
    ordered = records if wanted.reorder_rows == 0 else in_order(records, wanted.reorder_rows, told)
    shift: int | None = None
    lost = _losses(target, told)
    for record in ordered:
        why = target.refuses(record)
        if why is not None:
            told.refused[why] += 1
            continue
        if shift is None:
            shift = _Clock(source, target, wanted).shift(record.submitted_us, told)
        lost(record)
        moved = record if shift == 0 else record._replace(submitted_us=_moved(record.submitted_us, shift))
        told.written += 1
        yield _cut(moved, told) if wanted.whole_seconds else moved
        if told.written == wanted.limit:
            return


def in_order(records: Iterable[Record], rows: int | None, told: Told) -> Iterator[Record]:
    """Return the records by time of submission, equal times in file order; ``rows`` (None: all) are held back.

    Raises ``OperatorError`` for a record earlier than one already given.
    """
    held: list[tuple[int, int, Record]] = []
    latest_us = given_us = -1
    above_us, steps, first_step = -1, 0, ""
    for number, record in enumerate(records):
        at = record.submitted_us
        if at < above_us:
            steps += 1
            first_step = first_step or f"row {number + 1}, by {format_seconds(above_us - at)} s"
        above_us = at
        if at < latest_us:
            told.changed["rows put in order of time"] += 1
            if at < given_us:
                raise OperatorError(_too_late(given_us - at, rows))
        else:
            latest_us = at
        if rows is None or number < rows:
            held.append((at, number, record))
            if number + 1 == rows:
                heapify(held)
            continue
        given = heappushpop(held, (at, number, record))
        given_us = given[0]
        yield given[2]
    if steps:
        told.notes.append(_back_in_time(steps, first_step))
    yield from (record for _, _, record in sorted(held))


def _back_in_time(steps: int, first_step: str) -> str:
    places = "one place" if steps == 1 else f"{steps:,} places, first"
    return (
        f"the file goes back in time at {places} ({first_step}); its rows were put in order of time (if it is several "
        "traces one after the other, --reorder 0 keeps them so)"
    )


def _too_late(late_us: int, rows: int | None) -> str:
    return (
        f"a row lies {format_seconds(late_us)} s before rows that are written already: it stands more than {rows:,} "
        "rows too late; --reorder ROWS holds back more, --reorder all the whole file, --reorder 0 keeps file order"
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Where the times of both files count from."""

    source: Format
    target: Format
    wanted: Wanted

    def shift(self, first_us: int, told: Told) -> int:
        """Return what is added to every time, the first row's being ``first_us``; note where times count from."""
        origin_us, source, target = self.wanted.origin_us, self.source, self.target
        known = source.absolute or origin_us is not None
        zero = self.wanted.zero or (target.zero if known or target.zero is not Zero.DAY else Zero.KEEP)
        if target.absolute and zero is not Zero.KEEP:
            raise OperatorError(f"--zero {zero} cannot be had in {target.name}, whose times are dates")
        if source.absolute and target.absolute and origin_us is not None:
            raise OperatorError(f"--origin has no use: both {source.name} and {target.name} have dates")
        if zero is Zero.DAY and not known:
            raise OperatorError(f"--zero day needs dates, which {source.name} has not; --origin says which its 0 is")
        # The origin dates the source's 0; of a source that has dates it says which one becomes the target's 0.
        at = first_us if source.absolute else first_us + (origin_us or 0)
        if zero is Zero.FIRST:
            base = at
        elif zero is Zero.DAY:
            base = at - at % DAY_US
        else:
            base = 0 if target.absolute else origin_us or 0
        if target.absolute and not known:
            told.notes.append(f"{source.name} has no dates: its 0 became 1970-01-01T00:00:00Z (--origin says which)")
        elif known and not target.absolute:
            told.zero_us = base
        elif zero is Zero.FIRST and base:
            told.notes.append(f"times count from the first row, which was at {format_seconds(base)} s")
        return at - base - first_us


def _moved(submitted_us: int, shift: int) -> int:
    if submitted_us + shift < 0:
        raise OperatorError("a row lies before the instant that times count from; choose another --origin or --zero")
    if submitted_us + shift >= TIME_US_MAX:
        raise OperatorError("a row would lie beyond the year 9999; choose another --origin")
    return submitted_us + shift


def _cut(record: Record, told: Told) -> Record:
    """Return the record with its times cut to whole seconds; the first token's time after the submission is kept."""
    submitted = record.submitted_us - record.submitted_us % SECOND_US
    elapsed = None if record.elapsed_us is None else record.elapsed_us - record.elapsed_us % SECOND_US
    if (submitted, elapsed) == (record.submitted_us, record.elapsed_us):
        return record
    told.changed["times cut to whole seconds"] += 1
    return record._replace(submitted_us=submitted, elapsed_us=elapsed)


def _losses(target: Format, told: Told) -> Callable[[Record], None]:
    """Return what counts the values of a record that ``target`` has no room for."""
    names = [name for name in COLUMNS if name not in target.holds and name not in _SAID_ELSEWHERE]
    values = attrgetter(*names, "reason", "reason")  # two more, so that it is a tuple whatever there is
    nothing = (None,) * (len(names) + 2)
    dropped = told.dropped
    outcomes, others = "outcome" in target.holds, "other" in target.holds

    def count(record: Record) -> None:
        found = values(record)
        if found != nothing:
            for name, value in zip(names, found, strict=False):
                if value is not None:
                    dropped[name] += 1
        outcome = record.outcome
        if outcome not in {None, Outcome.OK} and not outcomes and not (target.marks_failures and record.failed):
            dropped[f"outcome {outcome}"] += 1
        if record.other and not others:
            dropped.update(name for name in record.other if name not in target.holds)

    return count
