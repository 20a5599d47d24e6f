"""What stays empty in a run of minutes on a machine without a GPU, each with its reason. Exact, but for two."""

_GPU = "no GPU here, and so no agent that reads one"
_HOUR = "a run of minutes has no hour ago to compare with"
_FAULT = "a fault in the worker's own code: there was none"

# Names of queries as board/panel/refId, and of recorded series.
WITHOUT_DATA = {
    "memory/Device memory used/A": _GPU,
    "memory/Device memory by state/A": _GPU,
    "memory/Time until device memory is used up/A": _GPU,
    "memory/Device busy/A": _GPU,
    "gpu:burstwatch_gpu_memory_used:ratio": _GPU,
    **{f"overview/Last 5 minutes over those an hour ago/{query}": _HOUR for query in "ABCDEF"},
    "pipeline/Faults/A": _FAULT,
    "pipeline/Requests told apart only as other/A": "one service of two models is far below every budget",
}

_CORRELATED = "bounds exist only where neighbouring seconds do not resemble each other: chance, in a bursty run"
# What may have data or not.
SOMETIMES = {
    "bursts/Index of dispersion by scale/B": _CORRELATED,
    "bursts/Index of dispersion by scale/C": _CORRELATED,
}

# What fires: bursts that fill the cache and make requests fail, and one message that nobody can read.
ALERTS = {"LLMBurstActive", "LLMBurstExhaustsKVCache", "LLMFailureEpisode", "BurstwatchDeadLetters"}
# What may fire besides: more of the same story, if it goes on for long enough.
ALERTS_TOO = {
    "LLMMemoryPressure", "LLMKVCacheNearlyFull", "LLMPreemptionStorm", "LLMFailureBudgetBurnsFast",
    "LLMFailureBudgetBurns", "BurstwatchCaptureUnreadable",
}  # fmt: skip
