"""What the labels of the metrics may hold; shown in METRICS.md."""

LABEL_TEXTS = {
    "service": 'the deployment a user would page for, as the agents name it; "other-N" beyond partition N\'s budget',
    "model": 'model asked for; "unknown" if none was given, "other" beyond the class budget, "all" for the total',
    "log_type": '"Conversation log" (a session is known) or "API log"; "other" and "all" as for model',
    "window": "10s, 1m, 5m, 20m or 1h unless --windows says otherwise, ending at the last complete 10 s of event time",
    "outcome": "ok, failed or cancelled",
    "reason": "why a request failed (closed set), or why a message is a dead letter",
    "attribution": "what coincided with a failure: burst, memory_pressure, burst_and_memory_pressure, neither, or "
    "unknown (no burst, and no engine's readings)",
    "direction": "request or response",
    "scale": "width of the counting bins: 100ms, 1s or 10s",
    "path": "counts (totals stay right) or ordered (gap statistics)",
    "topic": "Kafka topic",
    "partition": "Kafka partition",
    "agent": "the instance, as its configuration names it",
    "node": "the serving node, as its agent names it",
    "engine": "the engine process on the node",
    "gpu": "device index or id",
    "mig": "MIG instance, empty without one",
    "state": "used, free, reserved or total",
    "bound": "lower (95 %) or estimate",
    "quantile": "of tokens and latencies 0.5, 0.9, 0.95 and 0.99 (from 100 values on; 0.95 from 20, 0.9 from 10); of "
    "the demand 0.5, 0.9, 0.95, 0.99, 0.999 or that of --demand-quantile",
    "method": "how the capacity is known: operator (--replica-capacity), saturated (measured while engines were full), "
    "or extrapolated from their KV usage (optimistic); of a Gamma fit ye_chen, moment, triangular or dispersion",
    "error": "class of the exception",
    "version": "version of Burstwatch",
}
