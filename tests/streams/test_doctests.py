"""The examples in the docstrings of the estimators are true."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import streams.stats

MODULES = [f"streams.stats.{module.name}" for module in pkgutil.iter_modules(streams.stats.__path__)]
WITHOUT_EXAMPLES = {"gap_panes", "pane_ring", "sparse_panes"}


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name):
    result = doctest.testmod(import_module(name))
    assert result.failed == 0
    assert result.attempted or name.rpartition(".")[2] in WITHOUT_EXAMPLES
