"""The lower rows of the board on the pipeline itself: its workers and its capture."""

from dashboards.boards import steps
from dashboards.boards.grid import Row
from dashboards.boards.of_now import Table
from dashboards.boards.over_time import TimeSeries
from dashboards.boards.queries import BY_PROCESS, Query, grown, newest, stepped
from dashboards.rules.worker import JOBS

_NO_CAPTURE = "no capture is scraped (burstwatch capture --metrics-port)"

_OTHERS = (
    "sum by (service) ("
    'rate(burstwatch_arrivals_total{service=~"other-[0-9]+"}[$__rate_interval])'
    ' or rate(burstwatch_arrivals_total{model="other"}[$__rate_interval]))'
)


def _of_process(metric: str, text: str = "{{instance}}", role: str = "line") -> Query:
    return Query(expr=newest(metric, BY_PROCESS, ""), legend=text, role=role)


WORKERS = Row(
    id=600,
    title="Workers",
    panels=[
        TimeSeries(
            id=601,
            title="Partitions and services kept",
            what="Partitions of llm.requests each worker has; services with a state, or withheld by --series-max.",
            normal="partitions spread evenly, withheld 0.",
            act="withheld: raise --series-max, or add partitions and workers.",
            alerts=["BurstwatchServicesWithheld"],
            empty=steps.NO_WORKER,
            queries=[
                _of_process("partitions_owned", "{{instance}} partitions"),
                Query(
                    expr=f"sum by (instance) ({newest('services_kept', ('instance', 'partition'), '')})",
                    legend="{{instance}} services",
                ),
                _of_process("services_withheld", "{{instance}} withheld", "limit"),
            ],
            unit="none",
            least=0,
        ),
        TimeSeries(
            id=602,
            title="Faults",
            what="Faults in the worker's own code by exception, and service states that had to be rebuilt.",
            normal="none.",
            act="please report it, with the worker's log; the message it met is in llm.dead-letter.",
            alerts=["BurstwatchProcessorErrors"],
            empty="none",
            queries=[
                grown("processor_errors_total", "{{error}}", ("error",)),
                grown("broken_snapshots_total", "{{instance}} rebuilt"),
            ],
            unit="eps",
            least=0,
        ),
        TimeSeries(
            id=603,
            title="Snapshots",
            what="State snapshots written and failed per second, and services whose next one is due.",
            normal="steady, none failed, few due.",
            act="failed: Kafka's changelog topic. Due growing: states are large, see size and time.",
            empty=steps.NO_WORKER,
            queries=[
                grown("snapshots_total", "{{instance}} written"),
                grown("snapshot_failures_total", "{{instance}} failed"),
                Query(
                    expr=f"sum by (instance) ({newest('services_unsaved', ('instance', 'partition'), '')})",
                    legend="{{instance}} services due",
                    unit="none",
                    right=True,
                ),
            ],
            unit="ops",
            least=0,
        ),
        TimeSeries(
            id=604,
            title="Size and time of a snapshot",
            what="Size of the last snapshot, and the time until it was safe in Kafka (right).",
            normal="megabytes at most, well below a second.",
            act="seconds: Kafka is slow, and so are counters and restarts.",
            empty="no snapshot yet",
            queries=[
                _of_process("snapshot_size_bytes", "{{instance}} size"),
                Query(
                    expr=newest("snapshot_duration_seconds", BY_PROCESS, ""),
                    legend="{{instance}} time",
                    unit="s",
                    right=True,
                ),
            ],
            unit="bytes",
            least=0,
        ),
        TimeSeries(
            id=606,
            title="Requests told apart only as other",
            what="Requests per second of services or models beyond those that are kept apart; sums stay right.",
            normal="none.",
            act="a client that invents names, or too small a --services-max.",
            empty="none",
            queries=[Query(expr=_OTHERS, legend="{{service}}")],
            unit="reqps",
            least=0,
            alerts=["BurstwatchCardinalityBudget"],
        ),
        TimeSeries(
            id=607,
            title="Samples of a scrape",
            what="Samples of each process's page, as Prometheus took them.",
            normal="far below the line: beyond sample_limit the whole page is refused.",
            act="lower --series-max, or raise sample_limit in Prometheus' configuration.",
            empty=steps.NO_WORKER,
            queries=[
                Query(
                    expr=f"max by (job, instance) (scrape_samples_post_metric_relabeling{{{JOBS}}})",
                    legend="{{job}} {{instance}}",
                )
            ],
            least=0,
            steps=steps.SAMPLES,
            alerts=["BurstwatchScrapeNearLimit"],
        ),
        Table(
            id=605,
            title="Versions",
            what="The version of Burstwatch each worker runs.",
            normal="the same everywhere.",
            act="during an upgrade two versions for a moment; after it, find the one left behind.",
            empty="–",
            queries=[Query(expr=newest("build_info", ("instance", "version"), ""), column="Runs")],
            unit="none",
            width=24,
            height=5,
        ),
    ],
)

CAPTURE = Row(
    id=700,
    title="Capture",
    panels=[
        TimeSeries(
            id=701,
            title="Messages and requests taken",
            what="Messages taken per second; completed requests and segments in files that are finished.",
            normal="follows the traffic; files finish in steps.",
            act="0 with lag beside: capture hangs or the disk refuses.",
            empty=_NO_CAPTURE,
            queries=[
                grown("capture_messages_total", "{{instance}} messages"),
                grown("capture_events_total", "{{instance}} requests"),
                grown("capture_segments_total", "{{instance}} segments"),
            ],
            unit="ops",
            least=0,
        ),
        TimeSeries(
            id=702,
            title="Capture: behind and lost",
            what="Messages in Kafka that are not taken yet, and those Kafka no longer held (a hole in the trace).",
            normal="low, and no loss.",
            act="lost: raise the topic's retention; the trace's manifest names the hole.",
            alerts=["BurstwatchCaptureIncomplete", "BurstwatchCaptureLags"],
            empty=_NO_CAPTURE,
            queries=[
                Query(expr=newest("capture_lag_messages", ("partition",), ""), legend="{{partition}} behind"),
                Query(
                    expr=stepped("capture_lost_messages_total", ("partition",), ""),
                    legend="{{partition}} lost",
                    role="bars",
                ),
            ],
            least=0,
        ),
        TimeSeries(
            id=703,
            title="Capture: faults",
            what="Messages that could not be decoded, and times the disk refused, per second.",
            normal="none.",
            act="disk: see free space beside; nothing is lost while Kafka keeps the messages.",
            alerts=["BurstwatchCaptureUnreadable", "BurstwatchCaptureWriteFailures"],
            empty=_NO_CAPTURE,
            queries=[
                grown("capture_unreadable_messages_total", "{{instance}} unreadable"),
                grown("capture_write_failures_total", "{{instance}} disk refused"),
            ],
            unit="ops",
            least=0,
        ),
        TimeSeries(
            id=704,
            title="Capture: disk, and age of the newest segment",
            what="Free space where the segments lie, and how long ago one was finished (right).",
            normal="space falls slowly; the age is a saw below the rotation time.",
            act="space: move old segments away. Age climbing: no traffic, or capture hangs.",
            alerts=["BurstwatchCaptureDiskLow"],
            empty=_NO_CAPTURE,
            queries=[
                _of_process("capture_disk_free_bytes", "{{instance}} free"),
                Query(
                    expr=f"time() - {newest('capture_last_segment_timestamp_seconds', BY_PROCESS, '')}",
                    legend="{{instance}} age",
                    unit="s",
                    right=True,
                ),
            ],
            unit="bytes",
            least=0,
        ),
    ],
)
