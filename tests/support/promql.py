"""What a PromQL expression asks for, by its syntax tree: metrics, matchers, groupings, and the labels that come out.

Needs the dev dependency ``promql-parser``. Grafana's ``$__rate_interval`` and its like count as 5 minutes, and other
variables as the text they are. The parser takes newer grammar than the oldest Prometheus we support: what it accepts
still has to pass ``promtool check rules``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import promql_parser as promql

_DURATION = re.compile(r"\$(?:__rate_interval|__interval|__range|\{__rate_interval\}|\{__interval\}|\{__range\})")
_KEEPS_LHS = {"and", "unless"}
_PICKS = {"topk", "bottomk", "limitk"}
_LABEL_OF = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Use:
    """One selector: the metric, what each label is matched with, and the function right around it (or None)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]  # (label, operator such as "=~", value)
    function: str | None

    @property
    def labels(self) -> set[str]:
        return {label for label, _, _ in self.matchers}


@dataclass(frozen=True, slots=True)
class Grouping:
    """The labels of one by, without, on, ignoring or group_left, and the metrics that should have them."""

    labels: frozenset[str]
    names: frozenset[str]


def parse(expr: str) -> promql.Expr:
    """Return the tree; raises ``ValueError`` for what is no PromQL."""
    return promql.parse(_DURATION.sub("5m", expr))


def uses(expr: str) -> list[Use]:
    """Every selector in the expression, in order."""
    return list(_uses(parse(expr), None))


def names(expr: str) -> set[str]:
    """The metrics asked for."""
    return {use.name for use in uses(expr)}


def groupings(expr: str) -> list[Grouping]:
    """Every list of labels that results are grouped or matched by."""
    return list(_groupings(parse(expr)))


def labels(expr: str, labels_of: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """The labels every result has, given those of a metric; of ``a or b`` those of both sides."""
    return _labels(parse(expr), labels_of)


def _children(node) -> list:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.AggregateExpr():
            return [node.expr, *([node.param] if node.param is not None else [])]
        case promql.Call():
            return list(node.args)
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
    return []


def _uses(node, function: str | None) -> Iterator[Use]:
    if isinstance(node, promql.VectorSelector):
        signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
        matchers = [(m.name, signs[str(m.op).rpartition(".")[2]], m.value) for m in node.matchers.matchers]
        name = node.name or next(value for label, _, value in matchers if label == "__name__")
        yield Use(name, tuple(m for m in matchers if m[0] != "__name__"), function)
        return
    if isinstance(node, promql.Call):
        function = node.func.name
    elif not isinstance(node, promql.MatrixSelector | promql.ParenExpr):
        function = None
    for child in _children(node):
        yield from _uses(child, function)


def _groupings(node) -> Iterator[Grouping]:
    below = frozenset(use.name for use in _uses(node, None))
    if isinstance(node, promql.AggregateExpr) and node.modifier:
        yield Grouping(frozenset(node.modifier.labels), below)
    if isinstance(node, promql.BinaryExpr) and node.modifier:
        if node.modifier.matching:
            yield Grouping(frozenset(node.modifier.matching.labels), below)
        if node.modifier.group_labels:
            one = node.rhs if "ManyToOne" in str(node.modifier.card) else node.lhs
            yield Grouping(frozenset(node.modifier.group_labels), frozenset(u.name for u in _uses(one, None)))
    for child in _children(node):
        yield from _groupings(child)


def _labels(node, labels_of) -> frozenset[str]:
    match node:
        case promql.VectorSelector():
            return frozenset().union(*(frozenset(labels_of(use.name)) for use in _uses(node, None)))
        case promql.AggregateExpr():
            return _aggregated(node, labels_of)
        case promql.BinaryExpr():
            return _joined(node, labels_of)
        case promql.Call():
            return _called(node, labels_of)
    inner = _children(node)
    return _labels(inner[0], labels_of) if inner else frozenset()


def _aggregated(node, labels_of) -> frozenset[str]:
    inside = _labels(node.expr, labels_of)
    if str(node.op) in _PICKS:
        return inside
    if not node.modifier:
        return frozenset()
    listed = frozenset(node.modifier.labels)
    return listed if node.modifier.type == promql.AggModifierType.By else inside - listed


def _joined(node, labels_of) -> frozenset[str]:
    left, right = _labels(node.lhs, labels_of), _labels(node.rhs, labels_of)
    if str(node.op) in _KEEPS_LHS or _scalar(node.rhs):
        return left
    if _scalar(node.lhs):
        return right
    if str(node.op) == "or":
        return left & right
    return _matched(node.modifier, left, right)


def _matched(modifier, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """Labels of a one-to-one or one-to-many match."""
    extra = frozenset(modifier.group_labels) if modifier and modifier.group_labels else frozenset()
    card = str(modifier.card) if modifier else ""
    if "ManyToOne" in card:
        return left | extra
    if "OneToMany" in card:
        return right | extra
    if modifier and modifier.matching:
        listed = frozenset(modifier.matching.labels)
        return listed if modifier.matching.type == promql.LabelModifierType.Include else left - listed
    return left


def _called(node, labels_of) -> frozenset[str]:
    name, args = node.func.name, list(node.args)
    if name in {"scalar", "vector", "time"}:
        return frozenset()
    if name in {"absent", "absent_over_time"}:
        return frozenset(label for use in _uses(args[0], None) for label, sign, _ in use.matchers if sign == "=")
    vectors = [
        _labels(arg, labels_of) for arg in args if not isinstance(arg, promql.NumberLiteral | promql.StringLiteral)
    ]
    found = vectors[-1] if vectors else frozenset()
    if name == "histogram_quantile":
        return found - {"le"}
    if name in {"label_replace", "label_join"}:
        return found | {_text(args[1])}
    return found


def _scalar(node) -> bool:
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return _scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return _scalar(node.lhs) and _scalar(node.rhs)
    scalar_call = isinstance(node, promql.Call) and node.func.name in {"scalar", "time", "pi"}
    return isinstance(node, promql.NumberLiteral) or scalar_call


def _text(node) -> str:
    return _LABEL_OF.search(str(node))[1]
