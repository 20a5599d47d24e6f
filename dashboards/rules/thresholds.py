"""Every number an alert compares with, and why it is that one. Boards colour from the same numbers.

What is decided inside the worker (when a burst or a failure episode begins, when an engine is under pressure) has its
numbers beside its detector in ``streams/processors``; alerts take over the verdict.
"""

# --- burstiness

# CV of the gaps over 20 minutes. Poisson traffic has 1; 1.5 is the median of BurstGPT's API traffic in 5-minute
# windows, and above the 90th percentile (1.12) of its conversations.
BURSTY_CV = 1.5
# Upper 95 % bound of the Gamma shape over the same window: below 1 the gaps are burstier than Poisson beyond chance.
BURSTY_SHAPE_UPPER = 1.0
# Requests per second: 300 gaps in 20 minutes, which tell a CV of 1.5 from 1 by 8 standard errors (1 / sqrt(n)).
BURSTY_RATE_MIN = 0.25
# Seconds of a 20-minute window that must be known: all of them. A service's first minutes are no habit.
BURSTY_COVERED_S = 1200

# --- failures: burn rates are those of the SRE workbook, chapter 5 (streams/stats/burn_rate.py has the same)

# 2 % of a month's budget in an hour.
BURN_HOUR = 14.4
# 5 % of a month's budget in six hours.
BURN_SIX_HOURS = 6.0
# 10 % of it in three days: at 1 the budget lasts exactly its month.
BURN_THREE_DAYS = 1.0
# Failed requests in the long window. A ratio of little traffic is chance: a service that keeps its budget has 10
# failures where 10/14.4 or 10/6 are expected about once in 10^9 or 10^5 windows; one failure in 5 requests burns at 20.
BURN_FAILURES_MIN = 10

# --- memory

# Part of a KV cache in use: the worker's own line for pressure (streams/processors/engine_track.py). Alone it is no
# trouble, a well used engine is full: requests must wait or be preempted as well.
KV_USAGE_RATIO = 0.95
# Seconds until a burst fills the cache: about as long as a new replica or a shed load takes to help at all.
BURST_EXHAUSTION_S = 60
# Preemptions per second and engine. Each throws away a request's KV cache and works out its prompt anew: one every
# 5 s takes an engine as long as it gains, where a prompt and its first tokens take seconds.
PREEMPTION_RATE = 0.2
# Part of a device's memory in use. Engines claim 90 to 95 % at their start and stay there; beyond that, 3 % (2.4 GB of
# 80 GB) is what activations and CUDA's workspaces need at a peak.
GPU_USED_RATIO = 0.97
# Used part from which growth is looked at: below it an engine is merely loading its weights.
GPU_WATCH_RATIO = 0.9
# Seconds until a device is full, as its memory grows: what is farther away has time to come to rest by itself.
GPU_EXHAUSTION_S = 60

# --- the pipeline

# Messages not applied, or not captured, yet: a service's agent sends about 5 a second, so one agent's 3 minutes.
LAG_MESSAGES = 1000
# Seconds without a message of an agent: live ones send at least one a second, restarts take up to 3 s.
AGENT_SILENT_S = 60
# Seconds a clock is ahead for certain: arrivals are put in order within 2 s, beyond that bursts are smeared.
CLOCK_AHEAD_S = 2
# Bytes free where segments are written: an hour of some 3,000 requests a second at 100 bytes each.
CAPTURE_DISK_FREE_BYTES = 1024**3
# Seconds: a disk that is full within four hours is worth an interruption, one that is full tomorrow is not.
CAPTURE_DISK_FULL_S = 4 * 3600
# Samples of a worker's page: four fifths of the sample_limit in deploy/prometheus, beyond which all are refused.
SCRAPE_SAMPLES = 40_000
