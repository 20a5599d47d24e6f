"""Where colours change and what states are called: the same on every board, and where the alerts fire."""

from dashboards.rules import thresholds as at

NONE_IS_GOOD = ((None, "green"), (1, "red"))
NONE_IS_CALM = ((None, "green"), (1, "orange"))
# A full cache alone is no trouble, it is what a well used engine has: orange, not red.
KV = ((None, "green"), (at.KV_USAGE_RATIO, "orange"))
EXHAUSTION = ((None, "red"), (at.BURST_EXHAUSTION_S, "orange"), (10 * at.BURST_EXHAUSTION_S, "green"))
BURN = ((None, "green"), (at.BURN_THREE_DAYS, "orange"), (at.BURN_SIX_HOURS, "red"), (at.BURN_HOUR, "dark-red"))
# A line at what Poisson traffic has, which is no judgement; and one at what is told as bursty.
POISSON = ((None, "transparent"), (1, "text"))
CV = (*POISSON, (at.BURSTY_CV, "orange"))
PREEMPTIONS = ((None, "green"), (at.PREEMPTION_RATE, "orange"))
DEVICE = ((None, "green"), (at.GPU_WATCH_RATIO, "yellow"), (at.GPU_USED_RATIO, "red"))
LAG = ((None, "green"), (at.LAG_MESSAGES, "orange"))
SILENCE = ((None, "green"), (at.AGENT_SILENT_S, "red"))
CLOCK = ((None, "green"), (at.CLOCK_AHEAD_S, "orange"))
SAMPLES = ((None, "green"), (at.SCRAPE_SAMPLES, "orange"))
DISK = ((None, "red"), (at.CAPTURE_DISK_FREE_BYTES, "green"))

# What absence is called.
NO_SERVICE = "no service yet"
NO_AGENT = "no agent yet"
NO_WORKER = "no worker is scraped"
NO_ENGINE = "no engine readings"
FEW_GAPS = "not enough gaps in the window (30 at least)"

BURST_WORDS = ((0, "calm", "green"), (1, "burst", "orange"))
FAILURE_WORDS = ((0, "within budget", "green"), (1, "failing", "red"))
PRESSURE_WORDS = ((0, "enough", "green"), (1, "short of memory", "purple"))
UP_WORDS = ((0, "down", "red"), (1, "up", "green"))
ALERT_WORDS = ((1, "pending", "yellow"), (2, "firing", "red"))
# Of three kinds in one panel; colours are those of the marks on every time axis.
EPISODE_WORDS = ((0, "no", "green"), (1, "burst", "orange"), (2, "failing", "red"), (3, "short of memory", "purple"))
