"""`burstwatch dashboards`, and `annotate`: the verb of it that needs Kafka and words for episodes."""

import dashboards.cli


def main(argv: list[str]) -> int:
    """Run a verb of `burstwatch dashboards`; `annotate` is the front door's own."""
    return dashboards.cli.main(argv, {"annotate": ("episodes of llm.episodes as Grafana annotations", _annotate)})


def _annotate(argv: list[str]) -> int:
    from burstwatch.annotate.cli import main as annotate  # noqa: PLC0415 - no other verb needs Kafka

    return annotate(argv)
