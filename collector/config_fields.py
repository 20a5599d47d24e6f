"""One TOML table, read field by field; what is wrong is collected, never raised."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from collector.schema.columns import is_token


class Fields:
    """Typed access to one table. A bad or missing value adds a problem and comes back as a stand-in."""

    def __init__(self, raw: Mapping[str, Any], where: str, problems: list[str], base: Path) -> None:
        self._raw = raw
        self._where = where
        self._problems = problems
        self._base = base
        self._seen: set[str] = set()

    def problem(self, key: str, text: str) -> None:
        """Add a problem with ``key``."""
        self._problems.append(f"{self._where}{key} {text}")

    def has(self, key: str) -> bool:
        """True if the table holds ``key``."""
        return key in self._raw

    def no_others(self) -> None:
        """Name every key that nobody asked for."""
        for key in self._raw:
            if key not in self._seen:
                self.problem(key, f"is not known here; known: {', '.join(sorted(self._seen))}")

    def table(self, key: str) -> "Fields":
        """Return the table ``[key]``, empty if absent."""
        return Fields(self._typed(key, dict, {}, "a table"), f"{key}.", self._problems, self._base)

    def tables(self, key: str) -> Iterator["Fields"]:
        """Return the tables ``[[key]]``; there must be at least one."""
        value = self._typed(key, list, [], "an array of tables")
        if not value:
            self.problem(key, "is missing: an agent needs at least one [[sources]] table")
        for index, raw in enumerate(value):
            if isinstance(raw, dict):
                yield Fields(raw, f"{key}[{index}].", self._problems, self._base)
            else:
                self.problem(f"{key}[{index}]", "must be a table")

    def token(self, key: str, default: str | None = None) -> str:
        """Return a name: 1-128 printable ASCII characters without spaces."""
        value: str = self._required(key, str, default, "a text")
        if value and not is_token(value):
            self.problem(key, f"must be 1-128 printable ASCII characters without spaces, not {value[:40]!a}")
        return value

    def text(self, key: str, default: str | None) -> str | None:
        """Return any text."""
        value: str | None = self._typed(key, str, default, "a text")
        return value

    def whole(self, key: str, default: int, *, least: int, most: int = 2**53) -> int:
        """Return a whole number within the bounds."""
        value: int = self._typed(key, int, default, "a whole number")
        if not least <= value <= most:
            self.problem(key, f"must be from {least} to {most}, not {value}")
        return value

    def number(self, key: str, default: float, *, least: float = 0.0, most: float) -> float:
        """Return a number within the bounds."""
        value = float(self._typed(key, (int, float), default, "a number"))
        if not least <= value <= most:
            self.problem(key, f"must be from {least:g} to {most:g}, not {value:g}")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None) -> str | None:
        """Return one of ``allowed``."""
        value: str | None = self._typed(key, str, default, "a text")
        if value is not None and value not in allowed:
            self.problem(key, f"must be one of {', '.join(allowed)}, not {value[:40]!a}")
            return default
        return value

    def path(self, key: str) -> Path:
        """Return a path; a relative one starts at the configuration file's folder."""
        given: str = self._required(key, str, None, "a path")
        return self._base / given

    def optional_path(self, key: str) -> Path | None:
        """Return a path or None."""
        self._seen.add(key)
        return self.path(key) if self.has(key) else None

    def servers(self, key: str) -> str:
        """Return Kafka servers as ``host:port,host:port``; TOML may hold a text or a list of texts."""
        value = self._raw.get(key)
        if isinstance(value, list) and all(isinstance(server, str) for server in value):
            self._seen.add(key)
            value = ",".join(value)
        else:
            value = self._required(key, str, None, 'a text like "127.0.0.1:9092"')
        for server in value.split(",") if value else []:
            self._split_address(key, server.strip(), least=1)
        return value.replace(" ", "")

    def address(self, key: str) -> tuple[str, int]:
        """Return ``host:port``; port 0 means any free one."""
        value: str = self._required(key, str, None, 'a text like "127.0.0.1:8080"')
        return self._split_address(key, value, least=0) if value else ("", 0)

    def url(self, key: str) -> str:
        """Return an http(s) URL without credentials, query, or slash at the end."""
        value: str = self._required(key, str, None, "a URL")
        if not value:
            return value
        try:
            parts = urlsplit(value)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or "@" in value or "?" in value or "#" in value:
            self.problem(key, "must be an http:// or https:// URL without user, query or fragment")
        return value.rstrip("/")

    def origin(self, key: str) -> str | None:
        """Return None, "now", or an ISO time with its offset from UTC."""
        self._seen.add(key)
        value = self._raw.get(key)
        if isinstance(value, datetime):  # TOML has times of its own
            value = value.isoformat()
        if value is None or value == "now":
            return value
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            moment = None
        if moment is None or moment.tzinfo is None or moment < datetime(1970, 1, 1, tzinfo=UTC):
            self.problem(key, 'must be "now" or a time like "2023-11-01T00:00:00Z", from 1970 on')
            return None
        return moment.isoformat()

    def _split_address(self, key: str, text: str, *, least: int) -> tuple[str, int]:
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and least <= int(port) <= 65535):
            self.problem(key, f"must be HOST:PORT, not {text[:60]!a}")
            return "", 0
        return host.removeprefix("[").removesuffix("]"), int(port)

    def _required(self, key: str, kind: type, default: Any, what: str) -> Any:  # noqa: ANN401 - TOML values
        if default is None and key not in self._raw:
            self._seen.add(key)
            self.problem(key, "is missing")
            return kind()
        return self._typed(key, kind, default if default is not None else kind(), what)

    def _typed(self, key: str, kind: type | tuple[type, ...], default: Any, what: str) -> Any:  # noqa: ANN401 - same
        self._seen.add(key)
        value = self._raw.get(key, default)
        if value is default:
            return value
        if not isinstance(value, kind) or isinstance(value, bool):
            self.problem(key, f"must be {what}, not {value!r:.60}")
            return default
        return value
