"""How far the spool is delivered: one small file, always whole, written before any segment is deleted.

It also keeps the state of the last delivered record: with every segment gone, the sources still resume.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from collector.spool.folder import replace
from collector.spool.record import State, state_from_json, state_to_json

log = logging.getLogger(__name__)

FILE_NAME = "acked.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """Records up to ``seq`` are delivered.

    Attributes:
        sent: events delivered to Kafka since this spool was made.
        set_aside: events of messages Kafka will never take, kept in files.
        damaged: events lost to damaged records.
        state: the state of record ``seq``.
    """

    seq: int = 0
    sent: int = 0
    set_aside: int = 0
    damaged: int = 0
    state: State = field(default_factory=State)


def load_acked(folder: Path) -> Acked:
    """Return what the file says. A missing or unreadable file counts as nothing delivered: re-sent, never lost."""
    try:
        raw = orjson.loads((folder / FILE_NAME).read_bytes())
        counts = {name: int(raw[name]) for name in ("seq", "sent", "set_aside", "damaged")}
        return Acked(**counts, state=state_from_json(raw))
    except FileNotFoundError:
        return Acked()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("event=acked_unreadable error=%r effect=messages_are_sent_again", error)
        return Acked()


def store_acked(folder: Path, acked: Acked) -> None:
    """Make ``acked`` durable. Raises ``OSError`` if the disk refuses."""
    counts = {"seq": acked.seq, "sent": acked.sent, "set_aside": acked.set_aside, "damaged": acked.damaged}
    replace(folder / FILE_NAME, orjson.dumps({**counts, **state_to_json(acked.state)}), durable=True)
