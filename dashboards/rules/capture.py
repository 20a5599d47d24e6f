"""Alerts on the trace that is written down: what it misses, and what will make it miss something."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import COUNT
from dashboards.rules.model import Alert
from dashboards.rules.terms import counted, risen

_WHERE = "job, instance"
_LAG = "instance:burstwatch_capture_lag_messages:sum"
_FREE = f"min by ({_WHERE}) (burstwatch_capture_disk_free_bytes)"
_FREE_LATER = f"min by ({_WHERE}) (predict_linear(burstwatch_capture_disk_free_bytes[1h], {at.CAPTURE_DISK_FULL_S}))"

CAPTURE = (
    Alert(
        alert="BurstwatchCaptureIncomplete",
        expr=counted("capture_lost_messages_total", "15m", _WHERE) + " > 0",
        labels=("job", "instance"),
        severity="critical",
        summary=f"The trace of {{{{ $labels.instance }}}} has holes: {COUNT} messages in 15 min",
        description="Gone from Kafka before they were taken. What is lost stays lost.",
        board="pipeline",
        wait="0s",
        keep="15m",
    ),
    Alert(
        # Nobody is woken by one foreign message on the topic; a capture older than its agents goes on until it is seen.
        alert="BurstwatchCaptureUnreadable",
        expr=counted("capture_unreadable_messages_total", "15m", _WHERE) + " > 0",
        labels=("job", "instance"),
        severity="warning",
        summary=f"Unreadable messages are not in the trace of {{{{ $labels.instance }}}}: {COUNT} in 15 min",
        description="Something that is not an agent writes to the topic, or capture is older than the agents.",
        board="pipeline",
        wait="0s",
        keep="15m",
    ),
    Alert(
        alert="BurstwatchCaptureWriteFailures",
        expr=f"{risen('capture_write_failures_total', '5m', _WHERE)} > 0",
        labels=("job", "instance"),
        severity="warning",
        summary=f"Writes the disk of {{{{ $labels.instance }}}} refused: {COUNT} in 5 min",
        description="Nothing is lost yet: the messages stay in Kafka, for as long as it keeps them.",
        board="pipeline",
        wait="1m",
        keep="5m",
    ),
    Alert(
        alert="BurstwatchCaptureLags",
        expr=f"{_LAG} > {at.LAG_MESSAGES} and on ({_WHERE}) delta({_LAG}[10m]) > 0",
        labels=("job", "instance"),
        severity="warning",
        summary=f"Capture on {{{{ $labels.instance }}}} is {COUNT} messages behind, and falls further back",
        description="The trace has a hole once it is further behind than Kafka keeps messages.",
        board="pipeline",
        wait="5m",
        keep="5m",
    ),
    Alert(
        alert="BurstwatchCaptureDiskLow",
        expr=f"{_FREE} < {at.CAPTURE_DISK_FREE_BYTES} or on ({_WHERE}) ({_FREE} and on ({_WHERE}) {_FREE_LATER} < 0)",
        labels=("job", "instance"),
        severity="warning",
        summary="{{ $value | humanize1024 }}B are left for the trace on {{ $labels.instance }}",
        description="Less than 1 GiB, or so that it is used up within four hours if it goes on as in the last one.",
        board="pipeline",
        wait="15m",
        keep="5m",
    ),
)
