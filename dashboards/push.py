"""Boards into a running Grafana, by grafana-client; the only place that knows it.

Not yet run against a real Grafana server: the tests use a stand-in of ours.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from collector.schema.errors import OperatorError
from dashboards.boards.panels import Board

FOLDER_UID = "burstwatch"
FOLDER_TITLE = "Burstwatch"
_TIMEOUT_S = 10.0


class Grafana(Protocol):
    """The two things asked of a Grafana."""

    def ensure_folder(self, uid: str, title: str) -> None:
        """Make the folder unless it is there."""

    def put_board(self, folder_uid: str, board: Board) -> str:
        """Create the board or replace the one with its uid; return its path on the server."""


def push(grafana: Grafana, boards: Mapping[str, Board]) -> list[str]:
    """Put all boards into the Burstwatch folder; return their paths on the server. Safe to repeat."""
    grafana.ensure_folder(FOLDER_UID, FOLDER_TITLE)
    return [grafana.put_board(FOLDER_UID, board) for board in boards.values()]


def connect(url: str, token: str) -> Grafana:
    """Return a client. Raises ``OperatorError`` if the extra is not installed."""
    try:
        import grafana_client  # noqa: PLC0415 - an extra
    except ImportError:
        raise OperatorError(
            "push needs the Grafana client, which is an extra: pip install 'burstwatch[grafana]'"
        ) from None
    api = grafana_client.GrafanaApi.from_url(
        url.rstrip("/") + "/", credential=grafana_client.TokenAuth(token=token), timeout=_TIMEOUT_S
    )
    return _Client(api, url, grafana_client.client.GrafanaException)


class _Client:
    def __init__(self, api: Any, url: str, refused: type[Exception]) -> None:  # noqa: ANN401 - untyped upstream
        self._api = api
        self._url = url
        self._refused = refused

    def ensure_folder(self, uid: str, title: str) -> None:
        found = self._ask(lambda: self._api.folder.get_folder(uid), absent=404)
        if found is None:
            self._ask(lambda: self._api.folder.create_folder(title, uid))

    def put_board(self, folder_uid: str, board: Board) -> str:
        body = {"dashboard": board, "folderUid": folder_uid, "overwrite": True, "message": "burstwatch"}
        return str(self._ask(lambda: self._api.dashboard.update_dashboard(body))["url"])

    def _ask(self, call: Callable[[], Any], absent: int | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the server's answer, None for the status ``absent``. Trouble is the operator's."""
        try:
            return call()
        except self._refused as error:
            status = getattr(error, "status_code", 0)
            if status == absent:
                return None
            raise OperatorError(
                f"Grafana at {self._url} refused ({status}: {getattr(error, 'message', error)}); "
                "the token needs the right to edit dashboards and folders"
            ) from None
        except OSError as error:  # grafana-client lets its HTTP library's own errors through
            raise OperatorError(f"no Grafana answers at {self._url} ({type(error).__name__}); correct --url") from None
