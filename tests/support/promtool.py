"""Time series in three acts (all is well, trouble, all is well again) and what promtool has to find in them.

``promtool test rules`` compares numbers exactly, so questions are put so that their answers are: an alert's own series
``ALERTS``, 1 while it is on, and how many samples of it there are.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from dashboards.links import LINKS
from dashboards.rules import ALERTS, rules_yaml
from dashboards.rules.prometheus import annotations

BY_NAME = {alert.alert: alert for alert in ALERTS}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(duration: str) -> int:
    """Seconds of a duration such as "5m"."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


@dataclass(frozen=True)
class Gauge:
    """What a gauge shows in calm, in trouble, and in trouble that is just not enough; None: the series is not there."""

    calm: float | None
    trouble: float | None
    under: float | None

    @property
    def prelude(self) -> float | None:
        return self.calm

    def values(self, acts: list[tuple[str, int]]) -> list[float | None]:
        return [getattr(self, act) for act, steps in acts for _ in range(steps)]


@dataclass(frozen=True)
class Counter:
    """By how much a counter rises in a step; None before anything was counted: the series is not there.

    ``prelude``: in the steps before the trouble that a case may have.
    """

    calm: float | None
    trouble: float
    under: float | None
    prelude: float | None = None
    start: float = 0.0

    def values(self, acts: list[tuple[str, int]]) -> list[float | None]:
        found, total, begun = [], self.start, self.calm is not None
        for act, steps in acts:
            rise = getattr(self, act)
            for _ in range(steps):
                begun |= bool(rise)
                total += rise or 0
                found.append(total if begun else None)
        return found


@dataclass(frozen=True)
class Before:
    """A gauge that is 1 in the prelude and 0 in all acts."""

    def values(self, acts: list[tuple[str, int]]) -> list[float | None]:
        return [float(act == "prelude") for act, steps in acts for _ in range(steps)]


@dataclass(frozen=True)
class Clock:
    """A timestamp that is so many seconds behind promtool's time, which starts at 0 (not below it)."""

    calm: float
    trouble: float
    under: float
    step_s: int = 15

    def values(self, acts: list[tuple[str, int]]) -> list[float | None]:
        behind = [getattr(self, act) for act, steps in acts for _ in range(steps)]
        return [max(0, at * self.step_s - late) for at, late in enumerate(behind)]


Wave = Gauge | Counter | Clock | Before


def always(value: float | None) -> Gauge:
    """A gauge that shows the same all the time."""
    return Gauge(value, value, value)


def steadily(rise: float) -> Counter:
    """A counter that rises by the same all the time."""
    return Counter(rise, rise, rise)


@dataclass(frozen=True)
class Case:
    """One alert in three acts.

    Attributes:
        series: by selector, what it shows; with ``under`` the same three acts must pass in silence.
        labels: those of the alert, besides its name and severity.
        steps: how many samples each act has, ``step_s`` apart; ``prelude``: how many there are before the trouble, in
            which the alert must be as silent as before.
        summary: what it says at the end of the trouble, where that is asserted to the letter.
        why: what tells this case from others of the alert.
    """

    alert: str
    series: Mapping[str, Wave]
    labels: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[int, int, int] = (20, 40, 100)
    prelude: int = 0
    step_s: int = 15
    summary: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        return f"{self.alert} {self.why}".strip()


@dataclass(frozen=True)
class Silence:
    """Series in which an alert must not even be pending, and why it might have been.

    ``finds``: what expressions give at the end. ``calm``: how many steps of calm are before and after those of trouble.
    ``may_wait``: it may be pending, but must not fire.
    """

    alert: str
    why: str
    series: Mapping[str, Wave]
    steps: int = 160
    step_s: int = 15
    finds: Mapping[str, list[tuple[str, float]]] = field(default_factory=dict)
    calm: tuple[int, int] = (0, 0)
    may_wait: bool = False

    @property
    def name(self) -> str:
        return f"{self.alert} {self.why}"


def check(where: Path, case: Case | Silence, groups: list[dict] | None = None) -> str:
    """Run ``case`` against the rules (those of the file if none are given); returns promtool's complaints, or ""."""
    rules = needed_by(case.alert, yaml.safe_load(rules_yaml())["groups"] if groups is None else groups)
    tests = [_silence(case)] if isinstance(case, Silence) else [_trouble(case), _under(case)]
    text = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{case.step_s}s",
        "group_eval_order": [group["name"] for group in rules],
        "tests": tests,
    }
    (where / "rules.yml").write_text(yaml.safe_dump({"groups": rules}, width=10**9))
    (where / "test.yml").write_text(yaml.safe_dump(text, width=10**9))
    command = ["promtool", "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def needed_by(alert: str, groups: list[dict]) -> list[dict]:
    """The groups with that alert and the recordings it asks for, and nothing else: promtool works out every rule."""
    rules = [rule for group in groups for rule in group["rules"]]
    wanted = [rule for rule in rules if rule.get("alert") == alert]
    asked = [rule for rule in rules if "record" in rule and any(rule["record"] in one["expr"] for one in wanted)]
    kept = ((group, [rule for rule in group["rules"] if rule in wanted + asked]) for group in groups)
    return [{**group, "rules": found} for group, found in kept if found]


def _group(case: Case | Silence, name: str, acts: list[tuple[str, int]], questions: list[dict]) -> dict:
    series = [{"series": key, "values": _text(wave.values(acts))} for key, wave in case.series.items()]
    return {"name": name, "interval": f"{case.step_s}s", "input_series": series, "promql_expr_test": questions}


def _text(values: list[float | None]) -> str:
    return " ".join("_" if value is None else f"{value:.10g}" for value in values)


def _ask(expr: str, at_s: int, found: list[tuple[str, float]]) -> dict:
    samples = [{"labels": labels, "value": value} for labels, value in found]
    return {"expr": expr, "eval_time": f"{at_s}s", "exp_samples": samples}


def _trouble(case: Case) -> dict:
    before, wrong, after = case.steps[0] + case.prelude, *case.steps[1:]
    begin, end, close = (case.step_s * n for n in (before, before + wrong - 1, before + wrong + after - 1))
    alert = BY_NAME[case.alert]
    state = f'ALERTS{{alertname="{case.alert}"'
    labels = {"alertname": case.alert, "severity": alert.severity, **case.labels}
    firing = ", ".join(f'{key}="{value}"' for key, value in {**labels, "alertstate": "firing"}.items())
    waits = -(-seconds(alert.wait) // case.step_s)
    pending = f'count_over_time({state},alertstate="pending"}}[{close + 3600}s])'
    questions = [
        _ask(f"count_over_time({state}}}[{begin + 3600}s])", begin - case.step_s, []),
        _ask(f'{state},alertstate="firing"}}', end, [(f"ALERTS{{{firing}}}", 1)]),
        # It has been pending in every step that `for` asks for, and not in one fewer.
        _ask(f"sum({pending})", close, [("{}", waits)] if waits else []),
        _ask(f"{state}}}", close, []),
    ]
    group = _group(case, f"{case.name} fires and clears", _acts(case, "trouble"), questions)
    if case.summary:
        group["alert_rule_test"] = [_said(case, end)]
    return group


def _said(case: Case, at_s: int) -> dict:
    alert = BY_NAME[case.alert]
    texts = {**annotations(alert, LINKS), "summary": case.summary}
    for label, value in case.labels.items():
        texts = {name: text.replace(f"{{{{ $labels.{label} }}}}", value) for name, text in texts.items()}
    labels = {"severity": alert.severity, **case.labels}
    found = [{"exp_labels": labels, "exp_annotations": texts}]
    return {"eval_time": f"{at_s}s", "alertname": case.alert, "exp_alerts": found}


def _under(case: Case) -> dict:
    name = f"{case.name} is silent just below"
    return _group(case, name, _acts(case, "under"), [_never(case, case.prelude + sum(case.steps))])


def _acts(case: Case, middle: str) -> list[tuple[str, int]]:
    calm, wrong, after = case.steps
    return [("calm", calm), *([("prelude", case.prelude)] if case.prelude else []), (middle, wrong), ("calm", after)]


def _silence(case: Silence) -> dict:
    before, after = case.calm
    steps = before + case.steps + after
    found = [_ask(expr, case.step_s * (steps - 1), samples) for expr, samples in case.finds.items()]
    acts = [("calm", before), ("trouble", case.steps), ("calm", after)]
    return _group(case, case.name, acts, [_never(case, steps, 'alertstate="firing"' if case.may_wait else ""), *found])


def _never(case: Case | Silence, steps: int, state: str = "") -> dict:
    close = case.step_s * (steps - 1)
    return _ask(f'count_over_time(ALERTS{{alertname="{case.alert}",{state}}}[{close + 3600}s])', close, [])
