"""Alerts on arrivals: a burst is on, or traffic is bursty for long. Neither is a fault; both are to be known."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import FIGURE
from dashboards.rules.model import Alert
from dashboards.rules.terms import greatest

_LONG = '{model="all", log_type="all", window="20m"}'

BURSTS = (
    Alert(
        alert="LLMBurstActive",
        expr=f"{greatest('burst_rate')} and on (service) {greatest('burst_active')} == 1",
        labels=("service",),
        severity="info",
        summary=f"A burst of requests to {{{{ $labels.service }}}}: {FIGURE} requests/s",
        description="Arrivals of the last 10 s stand far above what is expected at this time of day.",
        board="bursts",
        wait="0s",
        keep="1m",
    ),
    Alert(
        alert="LLMTrafficBursty",
        expr=(
            f"service:burstwatch_interarrival_cv:window20m > {at.BURSTY_CV:g}"
            f" and on (service) service:burstwatch_gamma_shape_upper:window20m < {at.BURSTY_SHAPE_UPPER:g}"
            f" and on (service) max by (service) (burstwatch_request_rate{_LONG}) >= {at.BURSTY_RATE_MIN:g}"
            f" and on (service) max by (service) (burstwatch_window_covered_seconds{_LONG}) >= {at.BURSTY_COVERED_S}"
        ),
        labels=("service",),
        severity="info",
        summary=f"Traffic of {{{{ $labels.service }}}} stays bursty: CV of gaps {FIGURE} over 20 min",
        description=(
            "For half an hour the gaps between requests have varied more than those of Poisson traffic (CV 1), and not "
            "by chance: plan for the peaks, the mean rate says too little."
        ),
        board="bursts",
        wait="30m",
        keep="10m",
    ),
)
