"""Alerts on what is bounded on purpose, where detail is lost: series, services and models kept apart, readings."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import COUNT
from dashboards.rules.model import Alert
from dashboards.rules.terms import risen
from dashboards.rules.worker import JOBS

BUDGETS = (
    Alert(
        alert="BurstwatchCardinalityBudget",
        expr=(
            'sum by (service) (increase(burstwatch_arrivals_total{service=~"other-[0-9]+"}[10m])'
            ' or increase(burstwatch_arrivals_total{model="other"}[10m])) > 0'
        ),
        labels=("service",),
        severity="warning",
        summary=f'Requests of {{{{ $labels.service }}}} told apart only as "other": {COUNT} in 10 min',
        description="More services (--services-max) or models (--classes-max) than are kept apart; sums stay right.",
        board="pipeline",
        wait="10m",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchServicesWithheld",
        expr="sum by (job, instance) (burstwatch_services_withheld) > 0",
        labels=("job", "instance"),
        severity="warning",
        summary=f"Services without window gauges on {{{{ $labels.instance }}}}: {COUNT}",
        description="The page is at --series-max; those with the least traffic are left out. llm.windows has them all.",
        board="pipeline",
        wait="10m",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchReadingsIgnored",
        expr=f"{risen('readings_ignored_total', '10m', 'service')} > 0",
        labels=("service",),
        severity="info",
        summary=f"Readings of engines of {{{{ $labels.service }}}} that were ignored: {COUNT} in 10 min",
        description="Of engines beyond the first 1,000 of a service, or from clocks too far ahead.",
        board="pipeline",
        wait="0s",
        keep="10m",
    ),
    Alert(
        alert="BurstwatchScrapeNearLimit",
        expr=f"scrape_samples_post_metric_relabeling{{{JOBS}}} > {at.SCRAPE_SAMPLES}",
        labels=("job", "instance"),
        severity="warning",
        summary=f"{{{{ $labels.instance }}}} shows {COUNT} samples, near the limit of a scrape",
        description="Beyond sample_limit the whole scrape is refused, and nothing of this worker is known any more.",
        board="pipeline",
        wait="10m",
        keep="10m",
    ),
)
