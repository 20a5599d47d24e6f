"""Trace files for benchmarks: BurstGPT's eight columns, Poisson arrivals, seeded."""

import csv
import random
from pathlib import Path

HEADER = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type"


def write_trace(path: Path, rows: int, *, rate: float, request_tokens: int = 1000, response_tokens: int = 300) -> Path:
    """Write ``rows`` requests at ``rate`` per second, with up to so many tokens each; half of them conversations."""
    rng = random.Random(1)
    at = 0.0
    with path.open("w", newline="") as lines:
        lines.write(HEADER + "\n")
        out = csv.writer(lines)
        for _ in range(rows):
            at += rng.expovariate(rate)
            request, response = rng.randint(1, request_tokens), rng.randint(1, response_tokens)
            session, kind = (f"s{rng.randrange(500)}", "Conversation log") if rng.random() < 0.5 else ("", "API log")
            model = rng.choice(("ChatGPT", "GPT-4"))
            elapsed = round(rng.uniform(0.1, 9.0), 3)
            out.writerow([f"{at:.6f}", session, elapsed, model, request, response, request + response, kind])
    return path
