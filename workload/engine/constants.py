"""Every calibrated number of the simulated engine, each with its source or the assumption it rests on.

The machine imagined is the lower end of the paper's (its evaluation used Llama-2 7b and 13b with vLLM on one GPU,
BurstGPT §6): Llama-2-7b on one A100 40 GB. It is a simulation: nothing here was measured on a GPU by this project.
"""

# --- KV cache -------------------------------------------------------------------------------------------
# vLLM's default block size on CUDA.
BLOCK_TOKENS = 16
# 7b keeps 2 (K, V) * 32 layers * 4096 * 2 bytes = 524,288 bytes a token. 40 GB * 0.92 (vLLM's default
# gpu-memory-utilization) - 13.5 GB weights - ~1.5 GB activations leaves 21.8 GB = 41,600 tokens = 2,600 blocks.
KV_BLOCKS = 2600

# --- limits ---------------------------------------------------------------------------------------------
# vLLM's default max-num-seqs.
MAX_RUNNING = 256
# vLLM's queue is unbounded by default (--max-num-queued-reqs bounds it since 2026). Assumption, tuned with the
# built-in workload: about 4 s of patience at this engine's drain rate, so a burst ends in refusals.
MAX_WAITING = 64
# Tokens one step may process, decode and prefill together (chunked prefill). vLLM's long-standing default.
MAX_BATCHED_TOKENS = 2048
# Twice Llama-2's window: BurstGPT's requests reach past 4,096 (p99 5,630 for conversations).
MAX_MODEL_LEN = 8192

# --- pace -----------------------------------------------------------------------------------------------
# A step costs base + per decoded sequence + per prefilled token.
# Base: reading 13.5 GB of weights at 1.55 TB/s is 9 ms; ~8 ms more (assumption) for attention, sampling and
# scheduling. BurstGPT_3's own services under load: API 68.9 tokens in 2.35 s = 29/s, conversation 272 in
# 7.00 s = 39/s.
DECODE_TOKENS_PER_S = 60.0
# Each further sequence reads its own KV: ~500 tokens * 0.52 MB = 0.26 GB at 1.55 TB/s = 0.17 ms.
DECODE_S_PER_SEQUENCE = 0.00017
# 2 * 7e9 FLOP a token at 312 TFLOPS dense BF16 and 65 % utilisation (assumption) = 0.069 ms.
PREFILL_TOKENS_PER_S = 14500.0

# --- response length when the client does not fix it ----------------------------------------------------
# BurstGPT: responses fit a log-normal of sigma 1.468 best among families (file 3); mean 72 tokens (all files).
RESPONSE_TOKENS_MEAN = 72.0
RESPONSE_TOKENS_SIGMA = 1.468

# --- the HTTP shell -------------------------------------------------------------------------------------
# Tokens of one tick leave in one SSE event per stream (like vLLM's --stream-interval): a stream costs about
# 20 wake-ups a second, not 60. A step longer than a tick is a tick of its own.
TICK_S = 0.04
# Fallen this far behind real time (a stalled machine), the engine is slow instead of racing to catch up.
STALL_S = 0.25
# How long SIGTERM waits for running responses.
DRAIN_S = 5.0
# A prompt is bounded by the context anyway; this bounds what is read before that can be known.
BODY_BYTES_MAX = 32 * 1024 * 1024
MODELS = ("simulated-llm", "ChatGPT", "GPT-4")
