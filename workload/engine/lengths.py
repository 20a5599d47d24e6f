"""How much the engine says when the client leaves it to the model."""

import math
import random

from workload.engine.constants import RESPONSE_TOKENS_MEAN, RESPONSE_TOKENS_SIGMA


def response_tokens(rng: random.Random, max_tokens: int) -> int:
    """Return a response's length: log-normal as in BurstGPT, at least 1 and at most ``max_tokens``.

    The log-normal's mu follows from its mean: mean = exp(mu + sigma^2 / 2).
    """
    mu = math.log(RESPONSE_TOKENS_MEAN) - RESPONSE_TOKENS_SIGMA**2 / 2
    return max(1, min(max_tokens, round(rng.lognormvariate(mu, RESPONSE_TOKENS_SIGMA))))
