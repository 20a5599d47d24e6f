"""Alerts on memory: KV caches and devices that are full, or will be. Full and in trouble, never full alone."""

from dashboards.rules import thresholds as at
from dashboards.rules.figures import COUNT, FIGURE, unless_now
from dashboards.rules.model import Alert
from dashboards.rules.terms import greatest

_ENGINE = "service, node, engine"
_GPU = "node, gpu, mig"
_WAITING = f"max by ({_ENGINE}) (max_over_time(burstwatch_engine_requests_waiting[1m]))"
_PREEMPTED = greatest("engine_preemption_rate", _ENGINE)
# The series is there for seconds at a time (the cache grows, then it is full): remember it for a minute.
_FULL_IN_S = 'min by (service) (min_over_time(burstwatch_burst_kv_exhaustion_seconds{bound="estimate"}[1m]))'
_GPU_FULL_IN_S = f'min by ({_GPU}) (min_over_time(burstwatch_gpu_memory_exhaustion_seconds{{bound="estimate"}}[1m]))'

MEMORY = (
    Alert(
        alert="LLMBurstExhaustsKVCache",
        expr=(
            f"({_FULL_IN_S} < {at.BURST_EXHAUSTION_S} or on (service) ({greatest('pressure_active')} > 0) * 0)"
            f" and on (service) {greatest('burst_active')} == 1"
        ),
        labels=("service",),
        severity="warning",
        summary=unless_now(
            f"A burst fills the KV cache of {{{{ $labels.service }}}} in {COUNT} s",
            now="A burst has filled the KV cache of {{ $labels.service }}: 0 s are left",
        ),
        description="A burst is on and an engine runs out of KV cache, or has: expect queues, then failures.",
        board="overview",
        wait="0s",
        keep="2m",
    ),
    Alert(
        alert="LLMMemoryPressure",
        expr=f"{greatest('pressure_active')} > 0",
        labels=("service",),
        severity="warning",
        summary=f"Engines of {{{{ $labels.service }}}} that run, or will run, out of KV cache: {COUNT}",
        description="Cache full, requests preempted, or usage growing so that it is full within seconds.",
        board="memory",
        wait="30s",
        keep="2m",
    ),
    Alert(
        alert="LLMKVCacheNearlyFull",
        expr=(
            f"engine:burstwatch_kv_cache_usage_ratio:avg1m > {at.KV_USAGE_RATIO:g}"
            f" and on ({_ENGINE}) ({_WAITING} > 0 or {_PREEMPTED} > 0)"
        ),
        labels=("service", "node", "engine"),
        severity="warning",
        summary=(
            "The KV cache of {{ $labels.engine }} on {{ $labels.node }} is {{ $value | humanizePercentage }} full, "
            "and requests wait"
        ),
        description="The mean of a minute; requests queue, are preempted or refused. A full cache alone is no alarm.",
        board="memory",
        wait="1m",
        keep="2m",
    ),
    Alert(
        alert="LLMPreemptionStorm",
        expr=f"{_PREEMPTED} > {at.PREEMPTION_RATE:g}",
        labels=("service", "node", "engine"),
        severity="warning",
        summary=f"{{{{ $labels.engine }}}} on {{{{ $labels.node }}}} preempts {FIGURE} requests/s",
        description="What is preempted is worked out anew: the engine is busy with what it has already done.",
        board="memory",
        wait="1m",
        keep="2m",
    ),
    Alert(
        alert="LLMGPUMemoryNearlyFull",
        expr=f"gpu:burstwatch_gpu_memory_used:ratio > {at.GPU_USED_RATIO:g}",
        labels=("node", "gpu", "mig"),
        severity="warning",
        summary="Memory of GPU {{ $labels.gpu }} on {{ $labels.node }} is {{ $value | humanizePercentage }} used",
        description="Less is left than a peak of activations needs: the next long prompt may end in out of memory.",
        board="memory",
        wait="5m",
        keep="5m",
    ),
    Alert(
        alert="LLMGPUMemoryExhaustion",
        expr=(
            f"{_GPU_FULL_IN_S} < {at.GPU_EXHAUSTION_S}"
            f" and on ({_GPU}) gpu:burstwatch_gpu_memory_used:ratio > {at.GPU_WATCH_RATIO:g}"
        ),
        labels=("node", "gpu", "mig"),
        severity="warning",
        summary=unless_now(
            f"Memory of GPU {{{{ $labels.gpu }}}} on {{{{ $labels.node }}}} is used up in {COUNT} s",
            now="Memory of GPU {{ $labels.gpu }} on {{ $labels.node }} is used up: 0 s are left",
        ),
        description="It is nine tenths full and grows at a pace that fills it; what allocates next may be killed.",
        board="memory",
        wait="0s",
        keep="2m",
    ),
)
