"""The engine's `/metrics`: vLLM's names, labels and buckets (the only prometheus_client import of the engine).

As in vLLM 0.32: a client that goes away is counted nowhere (``finished_reason="abort"`` stays 0), refusals
only in ``admission_rejections_total``, and there is no failure counter.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from workload.engine.scheduler import Scheduler, Step
from workload.engine.sequence import End, Sequence

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")
# fmt: off
TTFT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
                160, 640, 2560)
LATENCY_BUCKETS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
TOKEN_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
# fmt: on
LABELS = ("engine", "model_name")


class Metrics:
    """Counts what the scheduler's steps did; gauges are read from the scheduler when somebody asks."""

    def __init__(self, scheduler: Scheduler, model: str) -> None:
        self._scheduler = scheduler
        self._registry = CollectorRegistry()
        self._labels = ("0", model)
        counter, histogram = self._counter, self._histogram
        self._preemptions = counter("num_preemptions", "Cumulative number of preemption from the engine.")
        self._prompt = counter("prompt_tokens", "Number of prefill tokens processed.")
        self._generated = counter("generation_tokens", "Number of generation tokens processed.")
        success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*LABELS, "finished_reason"),
            registry=self._registry,
        )
        self._success = {reason: success.labels(*self._labels, reason) for reason in FINISHED_REASONS}
        self._ttft = histogram(
            "time_to_first_token_seconds", "Histogram of time to first token in seconds.", TTFT_BUCKETS
        )
        self._e2e = histogram(
            "e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", LATENCY_BUCKETS
        )
        self._queued = histogram(
            "request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", LATENCY_BUCKETS
        )
        self._prompt_lengths = histogram("request_prompt_tokens", "Number of prefill tokens processed.", TOKEN_BUCKETS)
        self._response_lengths = histogram(
            "request_generation_tokens", "Number of generation tokens processed.", TOKEN_BUCKETS
        )
        rejections = Counter(
            "vllm:admission_rejections",
            "Number of admission attempts rejected by a queue limit, by reason.",
            ("model_name", "reason"),
            registry=self._registry,
        )
        self._rejections = rejections.labels(model, "max_num_queued_reqs")
        self._gauges()
        self._cache_config()

    def on_refusal(self) -> None:
        """Count a request refused because the queue was full."""
        self._rejections.inc()

    def on_step(self, step: Step) -> None:
        """Count what a step did."""
        if step.preempted:
            self._preemptions.inc(step.preempted)
        self._generated.inc(len(step.advanced))
        for sequence in step.advanced:
            # The first token follows its prompt's last; recomputed prompts are not counted again.
            if sequence.generated == 1 and sequence.first_token_s is not None:
                self._prompt.inc(sequence.prompt_tokens)
                self._ttft.observe(sequence.first_token_s - sequence.arrived_s)
        for sequence in step.ended:
            self._on_end(sequence)

    def exposition(self) -> bytes:
        """Return the text a scraper reads."""
        return generate_latest(self._registry)

    def _on_end(self, sequence: Sequence) -> None:
        if sequence.end not in {End.STOP, End.LENGTH} or sequence.ended_s is None:
            self._success["error"].inc()
            return
        self._success[sequence.end].inc()
        self._e2e.observe(sequence.ended_s - sequence.arrived_s)
        if sequence.admitted_s is not None:
            self._queued.observe(sequence.admitted_s - sequence.arrived_s)
        self._prompt_lengths.observe(sequence.prompt_tokens)
        self._response_lengths.observe(sequence.generated)

    def _gauges(self) -> None:
        scheduler, gauge = self._scheduler, self._gauge
        gauge("num_requests_running", "Number of requests in model execution batches.").set_function(
            lambda: len(scheduler.running)
        )
        gauge("num_requests_waiting", "Number of requests waiting to be processed.").set_function(
            lambda: len(scheduler.waiting)
        )
        gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.").set_function(
            lambda: scheduler.kv.usage_ratio
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, LABELS, registry=self._registry).labels(*self._labels)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, LABELS, registry=self._registry).labels(*self._labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        family = Histogram(f"vllm:{name}", text, LABELS, registry=self._registry, buckets=buckets)
        return family.labels(*self._labels)

    def _cache_config(self) -> None:
        kv = self._scheduler.kv
        Gauge(
            "vllm:cache_config_info",
            "Information of the LLMEngine CacheConfig",
            ("block_size", "engine", "num_gpu_blocks"),
            registry=self._registry,
        ).labels(str(kv.block_tokens), "0", str(kv.total)).set(1)
