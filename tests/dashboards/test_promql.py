"""The eyes our laws on queries see with: metrics, matchers, groupings and resulting labels of PromQL."""

import pytest

from tests.support import promql
from tests.support.promql import Grouping, Use

LABELS = {"a": {"x", "y"}, "b": {"x", "z"}, "h_bucket": {"x", "le"}}


def test_selectors_are_found_wherever_they_stand():
    found = promql.uses('sum by (x) (rate(a{y=~"$y", x!="1"}[$__rate_interval])) / on (x) (max by (x) (b) > 0.5)')
    assert found == [Use("a", (("y", "=~", "$y"), ("x", "!=", "1")), "rate"), Use("b", (), None)]
    assert found[0].labels == {"x", "y"}


def test_a_function_counts_only_right_around_its_metric():
    assert [use.function for use in promql.uses("max_over_time(sum(a)[5m:1m]) or increase((a[1m]))")] == [
        None,
        "increase",
    ]


def test_groupings_name_the_metrics_that_must_have_the_labels():
    assert promql.groupings("sum by (x) (a) * on (x) group_left (z) b") == [
        Grouping(frozenset("x"), frozenset("ab")),
        Grouping(frozenset("z"), frozenset("b")),
        Grouping(frozenset("x"), frozenset("a")),
    ]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a", "xy"),
        ("a > 1", "xy"),
        ("1 - a", "xy"),
        ("time() - a", "xy"),
        ("sum(a)", ""),
        ("sum by (x) (a)", "x"),
        ("sum without (x) (a)", "y"),
        ("topk(3, a)", "xy"),
        ("a and on (x) b", "xy"),
        ("a unless on (x) b", "xy"),
        ("a or b", "x"),
        ("a > on (x) b", "x"),
        ("a / ignoring (y, z) b", "x"),
        ("a * on (x) group_left (z) b", "xyz"),
        ("a * on (x) group_right (y) b", "xyz"),
        ("max_over_time(a[5m:1m])", "xy"),
        ("histogram_quantile(0.9, sum by (x, le) (rate(h_bucket[5m])))", "x"),
        ('label_replace(a, "n", "$1", "x", "(.*)")', "nxy"),
        ('absent(a{x="1", y=~"2"})', "x"),
        ("vector(1)", ""),
        ("quantile by (x) (0.9, a)", "x"),
    ],
)
def test_the_labels_that_come_out(expr, expected):
    assert promql.labels(expr, LABELS.__getitem__) == set(expected)


def test_what_is_no_promql_is_refused():
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql.parse("sum by (x")
