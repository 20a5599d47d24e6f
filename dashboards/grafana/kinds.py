"""How each kind of object is read from a Grafana, written to it, and recognised as owned by a provisioning file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from collector.schema.errors import OperatorError
from dashboards.grafana.client import Grafana, RefusedError
from dashboards.grafana.objects import BOARD_PREFIX, BOARD_TAG, Found, Json, Wanted, found_board, version_message

_SEARCH_MAX = 5000  # Grafana's own bound of one page


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``read`` returns None for what is not there; ``write`` creates, or updates what was found.

    ``lock``: status and a part of Grafana's words that say the object belongs to a provisioning file.
    """

    read: Callable[[Grafana, Wanted], Found | None]
    write: Callable[[Grafana, Wanted, Found | None], None]
    lock: tuple[int, str]

    def locked(self, refused: RefusedError) -> bool:
        """Return True if this refusal means: a file owns the object."""
        status, words = self.lock
        return refused.status == status and words in refused.answer


def _read_folder(grafana: Grafana, wanted: Wanted) -> Found | None:
    uid = quote(wanted.uid, safe="")
    answer = grafana.ask(
        f"reading folder {wanted.uid}", lambda api: api.folder.get_folder(uid), right="folders:read", absent=True
    )
    return None if answer is None else Found(body=answer)


def _write_folder(grafana: Grafana, wanted: Wanted, found: Found | None) -> None:
    doing = f"{'creating' if found is None else 'renaming'} folder {wanted.uid}"
    if found is not None:
        uid = quote(wanted.uid, safe="")
        grafana.ask(
            doing, lambda api: api.folder.update_folder(uid, title=wanted.title, overwrite=True), right="folders:write"
        )
        return
    try:
        grafana.ask(
            doing,
            lambda api: api.folder.create_folder(wanted.title, wanted.uid),
            right="folders:create (the Editor role has it)",
            again=False,
        )
    except RefusedError as refused:
        # Somebody may have made it meanwhile; but the same codes say that another folder has the title.
        if refused.status not in {400, 409, 412} or _read_folder(grafana, wanted) is None:
            raise


def _read_data_source(grafana: Grafana, wanted: Wanted) -> Found | None:
    answer = grafana.ask(
        f"reading data source {wanted.uid}",
        lambda api: api.datasource.get_datasource_by_uid(quote(wanted.uid, safe="")),
        right="datasources:read (the Admin role has it)",
        absent=True,
    )
    return None if answer is None else Found(body=answer, owner="a file" if answer.get("readOnly") else None)


def _write_data_source(grafana: Grafana, wanted: Wanted, found: Found | None) -> None:
    if found is not None:
        # What people set beside ours (authentication, default or not) stays; so does the version, a lock against races.
        settings = {"jsonData": {**(found.body.get("jsonData") or {}), **wanted.body["jsonData"]}}
        body = found.body | wanted.body | settings
        uid = quote(wanted.uid, safe="")
        grafana.ask(
            f"updating data source {wanted.uid}",
            lambda api: api.datasource.update_datasource_by_uid(uid, body),
            right="datasources:write (the Admin role has it)",
        )
        return
    try:
        grafana.ask(
            f"creating data source {wanted.uid}",
            lambda api: api.datasource.create_datasource(wanted.body),
            right="datasources:create (the Admin role has it)",
            again=False,
        )
    except RefusedError as refused:
        if refused.status != 409:
            raise
        raise OperatorError(
            f"{grafana.url} has a data source named {wanted.title!r} under another uid; boards choose theirs by a "
            "variable, so leave --datasource-url out, or name that uid with --datasource-uid"
        ) from None


def _read_board(grafana: Grafana, wanted: Wanted) -> Found | None:
    answer = grafana.ask(
        f"reading board {wanted.uid}",
        lambda api: api.dashboard.get_dashboard(quote(wanted.uid, safe="")),
        right="dashboards:read",
        absent=True,
    )
    return None if answer is None else found_board(answer)


def newest_version_is(grafana: Grafana, wanted: Wanted) -> bool:
    """Return True if the board's newest version was saved by a push of this very board.

    A Grafana that brings boards to its own schema answers with other JSON than it was sent; then this tells a
    change by a person from one by Grafana.
    """
    # Not by dashboard_versions: grafana-client 5.1 puts the limit into the body of a GET.
    path = f"/dashboards/uid/{quote(wanted.uid, safe='')}/versions"
    answer = grafana.ask(
        f"reading the versions of board {wanted.uid}",
        lambda api: api.client.GET(path, params={"limit": 1}),
        right="dashboards:write",
        absent=True,
    )
    versions = answer.get("versions") if isinstance(answer, dict) else answer  # an object since Grafana 11
    newest = versions[0] if versions else {}
    return bool(newest.get("message") == version_message(wanted))


def _write_board(grafana: Grafana, wanted: Wanted, found: Found | None) -> None:  # noqa: ARG001 - one call does both
    body: Json = {
        "dashboard": {**wanted.body["dashboard"], "id": None},
        "folderUid": wanted.body["folderUid"],
        "overwrite": True,
        "message": version_message(wanted),
    }
    grafana.ask(
        f"saving board {wanted.uid}",
        lambda api: api.dashboard.update_dashboard(body),
        right="dashboards:create and dashboards:write in its folder (the Editor role has both)",
    )


def surplus_boards(grafana: Grafana, folder_uid: str, known: set[str]) -> list[tuple[str, str]]:
    """Return (uid, title) of the boards of ours in the folder that code no longer has."""
    answer = grafana.ask(
        f"listing the boards in folder {folder_uid}",
        lambda api: api.search.search_dashboards(
            tag=BOARD_TAG, type_="dash-db", folder_uids=[folder_uid], limit=_SEARCH_MAX
        ),
        right="dashboards:read",
    )
    found = [(str(hit["uid"]), str(hit.get("title", ""))) for hit in answer or ()]
    return sorted(hit for hit in found if hit[0].startswith(BOARD_PREFIX) and hit[0] not in known)


def delete_board(grafana: Grafana, uid: str) -> None:
    """Delete a board; one that is gone already is fine."""
    grafana.ask(
        f"deleting board {uid}",
        lambda api: api.dashboard.delete_dashboard(quote(uid, safe="")),
        right="dashboards:delete",
        absent=True,
    )


def _read_contact_point(grafana: Grafana, wanted: Wanted) -> Found | None:
    answer: list[Json] = grafana.ask(
        "reading contact points",
        lambda api: api.alertingprovisioning.get_contactpoints(),
        right="alert.provisioning:read (the Admin role has it)",
    )
    mine = next((point for point in answer or () if point.get("uid") == wanted.uid), None)
    return None if mine is None else Found(body=mine, owner=_file(mine.get("provenance")))


def _write_contact_point(grafana: Grafana, wanted: Wanted, found: Found | None) -> None:
    doing = f"{'creating' if found is None else 'updating'} contact point {wanted.uid}"
    right = "alert.provisioning:write (the Admin role has it)"
    if found is None:
        grafana.ask(
            doing, lambda api: api.alertingprovisioning.create_contactpoint(wanted.body), right=right, again=False
        )
    else:
        grafana.ask(
            doing, lambda api: api.alertingprovisioning.update_contactpoint(wanted.uid, wanted.body), right=right
        )


def _read_rule_group(grafana: Grafana, wanted: Wanted) -> Found | None:
    place = quote(wanted.body["folderUid"], safe=""), quote(wanted.uid, safe="")
    answer = grafana.ask(
        f"reading rule group {wanted.uid}",
        lambda api: api.alertingprovisioning.get_rule_group(*place),
        right="alert.provisioning:read (the Admin role has it)",
        absent=True,
    )
    if not answer or not answer.get("rules"):
        return None
    owners = {_file(rule.get("provenance")) for rule in answer["rules"]} - {None}
    return Found(body=answer, owner=owners.pop() if owners else None)


def _write_rule_group(grafana: Grafana, wanted: Wanted, found: Found | None) -> None:  # noqa: ARG001 - PUT does both
    place = quote(wanted.body["folderUid"], safe=""), quote(wanted.uid, safe="")
    grafana.ask(
        f"saving rule group {wanted.uid}",
        lambda api: api.alertingprovisioning.update_rule_group(*place, wanted.body),
        right="alert.provisioning:write (the Admin role has it)",
    )


def _file(provenance: Any) -> str | None:  # noqa: ANN401 - JSON
    return "a file" if provenance == "file" else None


KINDS = {
    "folder": Kind(read=_read_folder, write=_write_folder, lock=(403, "provisioned")),
    "data source": Kind(read=_read_data_source, write=_write_data_source, lock=(403, "read-only")),
    "board": Kind(read=_read_board, write=_write_board, lock=(400, "provisioned dashboard")),
    "contact point": Kind(read=_read_contact_point, write=_write_contact_point, lock=(409, "provenance")),
    "rule group": Kind(read=_read_rule_group, write=_write_rule_group, lock=(409, "provenance")),
}
