"""What a push changes in a Grafana, and doing it: read an object, compare, write it if it differs, say what was done.

Every object has one owner. What Grafana has from a provisioning file is the file's: a push looks at it, says so, and
leaves it alone. The tree of notification policies is everybody's and is never written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.schema.errors import OperatorError
from dashboards.grafana import kinds
from dashboards.grafana.client import Grafana, RefusedError
from dashboards.grafana.differences import Difference
from dashboards.grafana.kinds import KINDS
from dashboards.grafana.objects import Found, Wanted, changed

CREATE, UPDATE, SAME, LEFT, SURPLUS, DELETE = "create", "update", "unchanged", "left alone", "surplus", "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is to be done, or was done, about one object.

    ``action`` is one of create, update, unchanged, "left alone" (a file owns it), surplus (no longer in code, kept)
    or delete. ``changes``: where Grafana's object is not as wanted; for "left alone" too. ``missed``: Grafana is not
    as wanted and a push will not make it so, as a file owns the object.
    """

    kind: str
    uid: str
    title: str
    action: str
    changes: tuple[Difference, ...] = ()
    note: str = ""
    missed: bool = False

    @property
    def writes(self) -> bool:
        """True if Grafana has to change for this."""
        return self.action in {CREATE, UPDATE, DELETE}


def outcome(wanted: Wanted, found: Found | None) -> Outcome:
    """Return what has to be done so that Grafana has ``wanted``. Pure."""
    if found is None:
        return _about(wanted, CREATE)
    changes = tuple(changed(found, wanted))
    if found.owner is not None:
        left = _about(wanted, LEFT, changes, f"provisioned from {found.owner}, which owns it")
        return replace(left, missed=bool(changes))
    return _about(wanted, UPDATE if changes else SAME, changes)


def push(grafana: Grafana, objects: Sequence[Wanted], *, write: bool = True, prune: bool = False) -> Iterator[Outcome]:
    """Yield what was done about each object, in order; with ``write=False`` what would be.

    Boards in the folders among ``objects`` that carry our tag and prefix but are not among them come last: as
    surplus, or deleted with ``prune``.
    """
    for wanted in objects:
        found = KINDS[wanted.kind].read(grafana, wanted)
        planned = outcome(wanted, found)
        if planned.action == UPDATE and _is_the_newest_version(grafana, wanted, planned):
            planned = _about(wanted, SAME, note="Grafana keeps it in its own schema")
        if planned.writes and write:
            planned = _written(grafana, wanted, found, planned)
        if wanted.kind == "data source" and write:
            planned = replace(planned, note=", ".join(filter(None, (planned.note, health_note(grafana, wanted.uid)))))
        yield planned
    boards = {wanted.uid for wanted in objects if wanted.kind == "board"}
    for folder in (wanted for wanted in objects if wanted.kind == "folder"):
        yield from _surplus(grafana, folder.uid, boards, prune=prune, write=write)


def _is_the_newest_version(grafana: Grafana, wanted: Wanted, planned: Outcome) -> bool:
    """Return True if a board differs only by what Grafana made of it: moving one is not always a new version."""
    moved = any(change.path == "folderUid" for change in planned.changes)
    return wanted.kind == "board" and not moved and kinds.newest_version_is(grafana, wanted)


def _about(wanted: Wanted, action: str, changes: tuple[Difference, ...] = (), note: str = "") -> Outcome:
    return Outcome(kind=wanted.kind, uid=wanted.uid, title=wanted.title, action=action, changes=changes, note=note)


def _written(grafana: Grafana, wanted: Wanted, found: Found | None, planned: Outcome) -> Outcome:
    kind = KINDS[wanted.kind]
    try:
        kind.write(grafana, wanted, found)
    except RefusedError as refused:
        if not kind.locked(refused):
            raise
        return replace(planned, action=LEFT, note=_locked(refused), missed=True)
    return planned


def _surplus(grafana: Grafana, folder_uid: str, known: set[str], *, prune: bool, write: bool) -> Iterator[Outcome]:
    for uid, title in kinds.surplus_boards(grafana, folder_uid, known):
        kept = Outcome(kind="board", uid=uid, title=title, action=SURPLUS, note="no longer in code; --prune deletes it")
        if not prune:
            yield kept
            continue
        try:
            if write:
                kinds.delete_board(grafana, uid)
        except RefusedError as refused:
            if not KINDS["board"].locked(refused):
                raise
            yield replace(kept, action=LEFT, note=_locked(refused))
            continue
        yield replace(kept, action=DELETE, note="no longer in code")


def _locked(refused: RefusedError) -> str:
    return f"provisioned from a file, which owns it ({refused.answer})"


def require_data_source(grafana: Grafana, uid: str) -> None:
    """Return if Grafana has a Prometheus under ``uid``. Raises ``OperatorError`` that names those it has."""
    right = "datasources:read (the Admin role has it)"
    all_of_them: list[Mapping[str, Any]] = (
        grafana.ask("listing data sources", lambda api: api.datasource.list_datasources(), right=right) or []
    )
    known = sorted(str(source["uid"]) for source in all_of_them if source.get("type") == "prometheus")
    if uid not in known:
        raise OperatorError(
            f"--rules ask the data source {uid!r}, which {grafana.url} has not (its Prometheus sources: "
            f"{', '.join(known) or 'none'}); name one with --datasource-uid, or create it with --datasource-url"
        )


def health_note(grafana: Grafana, uid: str) -> str:
    """Return whether Grafana reaches the Prometheus behind a data source, for people."""
    try:
        health = grafana.ask(
            f"asking data source {uid} for its health",
            lambda api: api.datasource.health(uid),
            right="datasources:query",
        )
    except OperatorError as trouble:
        return f"Grafana does not reach it: {trouble}"
    said = health.get("message", "") if isinstance(health, dict) else ""
    return f"Grafana reaches it ({said})"
