"""The generated files: what each should hold, and which on the disk do not. Pure but for `read` and `write`."""

import json
from pathlib import Path

from collector.schema.errors import OperatorError
from dashboards.boards import BOARDS
from dashboards.rules import grafana_alerting_yaml, prometheus_rule_manifest, rules_yaml
from streams.export.markdown import metrics_markdown


def files() -> dict[str, str]:
    """Return every generated file's text by its path in the checkout."""
    boards = {
        f"dashboards/generated/boards/{name}.json": json.dumps(board, indent=2, sort_keys=True) + "\n"
        for name, board in BOARDS.items()
    }
    return {
        "METRICS.md": metrics_markdown(),
        "dashboards/generated/rules/burstwatch.yml": rules_yaml(),
        "dashboards/generated/alerting/burstwatch.yml": grafana_alerting_yaml(),
        "deploy/kubernetes/prometheusrule.yaml": prometheus_rule_manifest(),
        **boards,
    }


def checkout() -> Path:
    """Return the root of the checkout this code runs from. Raises ``OperatorError`` for an installed copy."""
    root = Path(__file__).parents[1]
    if not (root / "pyproject.toml").exists():
        raise OperatorError(
            "generate needs a source checkout (this is an installed copy); clone the repository and run it there"
        )
    return root


def stale(root: Path) -> list[str]:
    """Return the generated files that are missing, differ, or should not be there."""
    wanted = files()
    found = {str(path.relative_to(root)) for path in (root / "dashboards/generated").rglob("*") if path.is_file()}
    differing = {name for name, text in wanted.items() if not _holds(root / name, text)}
    return sorted(differing | (found - wanted.keys()))


def write(root: Path) -> list[str]:
    """Bring the generated files up to date; return the paths that changed."""
    changed = stale(root)
    wanted = files()
    for name in changed:
        path = root / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name])
        else:
            path.unlink()
    return changed


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text
