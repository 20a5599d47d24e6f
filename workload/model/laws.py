"""Distributions as they stand in a model file, checked: quantiles under their probabilities, a log-normal. Pure."""

from workload.model.model import LogNormal, Quantiles
from workload.model.reading import Table


def probabilities_of(table: Table, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
    """Return the table's probabilities, which must grow from 0 to 1."""
    values = table.numbers("probabilities", 0, 1, default=default)
    table.growing("probabilities", values)
    if values and (values[0] != 0 or values[-1] != 1):
        table.complain("probabilities", f"must go from 0 to 1, not from {values[0]:g} to {values[-1]:g}")
    return values


def quantiles_of(table: Table, low: float) -> Quantiles:
    """Return the quantiles that the table is, their values at least ``low``."""
    probabilities, values = probabilities_of(table), table.numbers("values", low)
    table.growing("values", values, strictly=False)
    table.as_long("values", values, "probabilities", probabilities)
    table.done()
    return Quantiles(probabilities=probabilities, values=values)


def lognormal_of(table: Table) -> LogNormal:
    """Return the log-normal law that the table is."""
    law = LogNormal(
        mu=table.number("mu", -50, 50), sigma=table.number("sigma", 0, 20), max_s=table.number("max_s", 0.001)
    )
    table.done()
    return law
