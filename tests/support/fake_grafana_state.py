"""What the stand-in for Grafana holds, and what it does about a request; see ``fake_grafana``.

Status codes, words and locks are those of Grafana's published source; it lets unknown keys pass, this does not.
"""

import copy
import json
import re

RULE_KEYS = {"id", "uid", "orgID", "folderUID", "ruleGroup", "title", "condition", "data", "updated", "noDataState",
             "execErrState", "for", "keep_firing_for", "annotations", "labels", "provenance", "isPaused",
             "notification_settings", "record", "missingSeriesEvalsToResolve"}  # fmt: skip
QUERY_KEYS = {"refId", "queryType", "relativeTimeRange", "datasourceUid", "model"}
SOURCE_KEYS = {"id", "uid", "orgId", "name", "type", "typeLogoUrl", "access", "url", "user", "database", "basicAuth",
               "basicAuthUser", "withCredentials", "isDefault", "jsonData", "secureJsonFields", "version", "readOnly"}  # fmt: skip  # noqa: E501

Answer = tuple[int, object]


class Refusal(Exception):  # noqa: N818 - it is an answer
    def __init__(self, code: int, message: str, **more: object) -> None:
        self.answer = code, {"message": message} | more


def _only(body: dict, allowed: set[str], needed: set[str]) -> None:
    if unknown := body.keys() - allowed:
        raise Refusal(400, f"bad request data: unknown keys {sorted(unknown)}")
    if missing := needed - body.keys():
        raise Refusal(400, f"bad request data: missing keys {sorted(missing)}")


class GrafanaState:
    """Everything by uid. Each method answers one route: (names in the path, query, body) -> (status, JSON)."""

    def __init__(self) -> None:
        self.folders: dict[str, dict] = {}
        self.boards: dict[str, dict] = {}
        self.sources: dict[str, dict] = {}
        self.groups: dict[tuple[str, str], dict] = {}
        self.points: dict[str, dict] = {}
        self.annotations: dict[int, dict] = {}
        self.version: str | None = "12.1.1"
        self.keeps_firing = True  # Grafana before 12 drops keep_firing_for
        self.migrates = False  # Grafana from 12 on may answer with boards brought to its own schema

    def settings(self, _names, _query, _body) -> Answer:
        return 200, {"buildInfo": {"version": self.version}}

    # -- folders and boards

    def get_folder(self, names, _query, _body) -> Answer:
        if names[0] not in self.folders:
            raise Refusal(404, "folder not found", status="not-found")
        return 200, self.folders[names[0]]

    def post_folder(self, _names, _query, body) -> Answer:
        _only(body, {"uid", "title", "parentUid"}, {"title"})
        if body["uid"] in self.folders:
            raise Refusal(412, "a folder/dashboard with the same uid already exists", status="version-mismatch")
        if body["title"] in {folder["title"] for folder in self.folders.values()}:
            raise Refusal(409, "a folder with the same name already exists in the current location")
        self.folders[body["uid"]] = body | {"id": len(self.folders) + 1, "version": 1}
        return 200, self.folders[body["uid"]]

    def put_folder(self, names, _query, body) -> Answer:
        _only(body, {"title", "version", "overwrite"}, {"title"})
        folder = self.folders[names[0]]
        if not body.get("overwrite") and body.get("version") != folder["version"]:
            raise Refusal(412, "The folder has been changed by someone else", status="version-mismatch")
        folder |= {"title": body["title"], "version": folder["version"] + 1}
        return 200, folder

    def get_board(self, names, _query, _body) -> Answer:
        if names[0] not in self.boards:
            raise Refusal(404, "Dashboard not found", status="not-found")
        kept = copy.deepcopy(self.boards[names[0]])
        if self.migrates:
            kept["dashboard"] |= {"schemaVersion": 42, "preload": False}
        return 200, {"dashboard": kept["dashboard"], "meta": kept["meta"]}

    def get_versions(self, names, query, _body) -> Answer:
        versions = self.boards[names[0]]["versions"][::-1]
        return 200, {"continueToken": "", "versions": versions[: int(query["limit"][0])]}

    def post_board(self, _names, _query, body) -> Answer:
        _only(body, {"dashboard", "folderUid", "overwrite", "message"}, {"dashboard", "folderUid", "message"})
        sent = body["dashboard"]
        uid, old = sent["uid"], self.boards.get(sent["uid"])
        if not sent.get("title"):
            raise Refusal(400, "Dashboard title cannot be empty", status="empty-name")
        if len(uid) > 40 or len(body["message"]) > 500:
            raise Refusal(400, "uid too long, max 40 characters")
        if body["folderUid"] not in self.folders:
            raise Refusal(400, "folder not found")
        if old and old["meta"]["provisioned"]:
            raise Refusal(400, "Cannot save provisioned dashboard")
        if old and not body.get("overwrite") and sent.get("version") != old["dashboard"]["version"]:
            raise Refusal(412, "The dashboard has been changed by someone else", status="version-mismatch")
        version = old["dashboard"]["version"] + 1 if old else 1
        kept = sent | {"id": old["dashboard"]["id"] if old else len(self.boards) + 1, "version": version}
        versions = [*(old["versions"] if old else []), {"version": version, "message": body["message"]}]
        meta = {"folderUid": body["folderUid"], "provisioned": False, "provisionedExternalId": ""}
        self.boards[uid] = {"dashboard": kept, "meta": meta, "versions": versions}
        return 200, {"uid": uid, "url": f"/d/{uid}/x", "status": "success", "version": version}

    def edit_board(self, uid: str, change) -> None:
        """As a person does in the browser: ``change`` gets the board; it becomes a new version without a message."""
        board = self.boards[uid]
        change(board["dashboard"])
        board["dashboard"]["version"] += 1
        board["versions"].append({"version": board["dashboard"]["version"], "message": ""})

    def delete_board(self, names, _query, _body) -> Answer:
        if names[0] not in self.boards:
            raise Refusal(404, "Dashboard not found", status="not-found")
        if self.boards[names[0]]["meta"]["provisioned"]:
            raise Refusal(400, "provisioned dashboard cannot be deleted")
        del self.boards[names[0]]
        return 200, {"message": "Dashboard deleted"}

    def search(self, _names, query, _body) -> Answer:
        tags, folders = set(query.get("tag", [])), query.get("folderUIDs", [])
        hits = [
            {"uid": uid, "title": board["dashboard"]["title"], "type": "dash-db"}
            for uid, board in self.boards.items()
            if tags <= set(board["dashboard"].get("tags", [])) and board["meta"]["folderUid"] in folders
        ]
        return 200, hits

    def delete_folder(self, names, _query, _body) -> Answer:
        if any(board["meta"]["folderUid"] == names[0] for board in self.boards.values()):
            raise Refusal(400, "folder is not empty")  # Grafana deletes what is in it: nothing here should rely on it
        del self.folders[names[0]]
        return 200, {"message": "Folder deleted"}

    # -- data sources

    def list_sources(self, _names, _query, _body) -> Answer:
        return 200, list(self.sources.values())

    def get_source(self, names, _query, _body) -> Answer:
        if names[0] not in self.sources:
            raise Refusal(404, "Data source not found")
        return 200, self.sources[names[0]]

    def post_source(self, _names, _query, body) -> Answer:
        _only(body, SOURCE_KEYS, {"uid", "name", "type", "access", "url"})
        if any(body["name"] == source["name"] or body["uid"] == source["uid"] for source in self.sources.values()):
            raise Refusal(409, "data source with the same name already exists")
        added = {"id": len(self.sources) + 1, "orgId": 1, "version": 1, "readOnly": False, "basicAuth": False}
        self.sources[body["uid"]] = body | added
        return 200, {"message": "Datasource added", "datasource": self.sources[body["uid"]]}

    def put_source(self, names, _query, body) -> Answer:
        _only(body, SOURCE_KEYS, {"name", "type", "access", "url"})
        old = self.sources[names[0]]
        if old["readOnly"]:
            raise Refusal(403, "Cannot update read-only data source")
        if body.get("version") not in {None, old["version"]}:
            raise Refusal(409, "Datasource has already been updated by someone else. Please reload and try again")
        self.sources[names[0]] = {"basicAuth": False} | body | {"id": old["id"], "version": old["version"] + 1}
        return 200, {"message": "Datasource updated"}

    def source_health(self, names, _query, _body) -> Answer:
        return 200, {"status": "OK", "message": f"Successfully queried the Prometheus API of {names[0]}."}

    def delete_source(self, names, _query, _body) -> Answer:
        del self.sources[names[0]]
        return 200, {"message": "Data source deleted"}

    def query(self, _names, _query, body) -> Answer:
        _only(body, {"queries", "from", "to"}, {"queries", "from", "to"})
        for asked in body["queries"]:
            if asked["datasource"]["uid"] not in self.sources:
                raise Refusal(400, "data source not found")
            if left := re.findall(r"\$(?!__)\w+", asked["expr"]):
                raise Refusal(400, f"bad_data: parse error: {left}")
        frames = {asked["refId"]: {"status": 200, "frames": []} for asked in body["queries"]}
        return 200, {"results": frames}

    # -- alerting

    def get_group(self, names, _query, _body) -> Answer:
        if tuple(names) not in self.groups:
            raise Refusal(404, "rule group not found")
        return 200, self.groups[tuple(names)]

    def put_group(self, names, _query, body) -> Answer:
        _only(body, {"title", "folderUid", "interval", "rules"}, {"interval", "rules"})
        if not isinstance(body["interval"], int) or body["interval"] % 10:
            raise Refusal(400, "invalid alert rule: interval should be divisible by 10 s")
        old = {rule["uid"]: rule for rule in self.groups.get(tuple(names), {}).get("rules", [])}
        rules = [self._rule(rule, names, old.get(rule.get("uid"))) for rule in body["rules"]]
        kept = {"title": names[1], "folderUid": names[0], "interval": body["interval"], "rules": rules}
        self.groups[tuple(names)] = kept
        return 200, kept

    def _rule(self, rule: dict, names: list[str], old: dict | None) -> dict:
        _only(rule, RULE_KEYS, {"uid", "title", "condition", "data", "noDataState", "execErrState", "for", "orgID",
                                "folderUID", "ruleGroup"})  # fmt: skip
        if old and old["provenance"] == "file":
            words = "cannot update with provided provenance 'api', needs 'file'"
            raise Refusal(409, words, messageId="alerting.provenanceMismatch")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", rule["uid"]) or names[0] not in self.folders:
            raise Refusal(400, "invalid alert rule: uid or folder")
        if rule["condition"] not in {query["refId"] for query in rule["data"]}:
            raise Refusal(400, f"invalid alert rule: condition {rule['condition']} does not exist")
        for query in rule["data"]:
            _only(query, QUERY_KEYS, {"refId", "datasourceUid", "model"})
            if query["datasourceUid"] not in {*self.sources, "__expr__"}:
                raise Refusal(400, f"invalid alert rule: no data source {query['datasourceUid']}")
        filled = {"intervalMs": 1000, "maxDataPoints": 43200}
        data = [query | {"queryType": "", "model": filled | query["model"]} for query in rule["data"]]
        kept = rule | {"id": 1, "data": data, "provenance": "api", "updated": "2026-01-01T00:00:00Z"}
        kept = {"notification_settings": None, "record": None, "isPaused": False} | kept
        for key in ("for", "keep_firing_for"):
            kept[key] = _as_go_writes(kept.get(key, "0s"))
        if not self.keeps_firing:
            del kept["keep_firing_for"]
        return kept

    def delete_rule(self, names, _query, _body) -> Answer:
        for place, group in list(self.groups.items()):
            group["rules"] = [rule for rule in group["rules"] if rule["uid"] != names[0]]
            if not group["rules"]:
                del self.groups[place]
        return 204, None

    def delete_point(self, names, _query, _body) -> Answer:
        told = [rule["notification_settings"] for group in self.groups.values() for rule in group["rules"]]
        if {"receiver": self.points[names[0]]["name"]} in told:
            raise Refusal(409, "contact point is used by rules")
        del self.points[names[0]]
        return 202, {"message": "contactpoint deleted"}

    def list_points(self, _names, _query, _body) -> Answer:
        return 200, list(self.points.values())

    def put_point(self, names, _query, body) -> Answer:
        _only(body, {"uid", "name", "type", "settings", "disableResolveMessage"}, {"name", "type", "settings"})
        uid = names[0] if names else body["uid"]
        if self.points.get(uid, {}).get("provenance") == "file":
            words = "cannot update with provided provenance 'api', needs 'file'"
            raise Refusal(409, words, messageId="alerting.provenanceMismatch")
        if not names and uid in self.points:
            raise Refusal(400, "receiver configuration with UID already exists")
        self.points[uid] = body | {"uid": uid, "provenance": "api"}
        return 202, self.points[uid]

    # -- annotations

    def find_annotations(self, _names, query, _body) -> Answer:
        tags = {tag.strip() for tag in query.get("tags", [])}
        hits = [found for found in self.annotations.values() if tags <= set(found["tags"])]
        return 200, hits[: int(query.get("limit", ["100"])[0])]

    def post_annotation(self, _names, _query, body) -> Answer:
        _only(body, {"dashboardUID", "panelId", "time", "timeEnd", "tags", "text"}, {"time", "text"})
        number = max(self.annotations, default=0) + 1
        self.annotations[number] = _annotation(number, body)
        return 200, {"message": "Annotation added", "id": number}

    def patch_annotation(self, names, _query, body) -> Answer:
        _only(body, {"time", "timeEnd", "tags", "text"}, set())
        if int(names[0]) not in self.annotations:
            raise Refusal(404, "Annotation not found")
        self.annotations[int(names[0])] = _annotation(int(names[0]), body)
        return 200, {"message": "Annotation patched"}

    def delete_annotation(self, names, _query, _body) -> Answer:
        del self.annotations[int(names[0])]
        return 200, {"message": "Annotation deleted"}


def _annotation(number: int, body: dict) -> dict:
    if not body["text"]:
        raise Refusal(400, "Failed to save annotation")
    # Grafana keeps tags as key and value, split at colons: what follows a second one is lost.
    pairs = [":".join(part.strip() for part in tag.split(":")[:2]) for tag in body["tags"]]
    if len(json.dumps(pairs)) > 500 or any(len(part) > 100 for tag in pairs for part in tag.split(":")):
        raise Refusal(400, "Tags length exceeds the maximum allowed.", messageId="annotations.tag-limit-exceeded")
    start, end = sorted((body["time"], body.get("timeEnd") or body["time"]))
    return {"id": number, "time": start, "timeEnd": end, "text": body["text"], "tags": pairs}


def _as_go_writes(duration: str) -> str:
    seconds = int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
    size = next((size for size in (3600, 60) if seconds and seconds % size == 0), 1)
    return f"{seconds // size}{ {3600: 'h', 60: 'm', 1: 's'}[size] }"
