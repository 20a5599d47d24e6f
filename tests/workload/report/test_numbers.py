import doctest
from importlib import import_module

import pytest

from workload.report.numbers import duration, moment, number, percent


@pytest.mark.parametrize("module", ["numbers", "page", "laws", "dating", "thin"])
def test_what_the_docstrings_show_is_so(module):
    tested = doctest.testmod(import_module(f"workload.report.{module}"))
    assert tested.attempted
    assert not tested.failed


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf"), "x", True])
def test_what_is_no_number_is_a_dash(nothing):
    assert {number(nothing), percent(nothing), duration(nothing), moment(nothing, absolute=True)} == {"-"}


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.999999, "1.00"), (999.96, "1,000"), (-0.5, "-0.500"), (1e16, "1e+16"), (5e-5, "5e-05"), (12_345.6, "12,346")],
)
def test_a_number_keeps_three_digits_and_its_whole_part(value, told):
    assert number(value) == told


def test_ratios_of_a_hair_below_one_are_not_told_as_all():
    assert [percent(ratio) for ratio in (0.994, 0.9999, 0.99996, 1.0)] == ["99.4 %", "99.99 %", "99.996 %", "100 %"]
