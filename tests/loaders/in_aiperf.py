"""Runs inside aiperf's own environment: loads FILE with its KIND loader, prints the turns it would send as JSON.

The loader and its models are the tool's; only the benchmark's configuration and the prompt text are stand-ins.
"""

import json
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

from aiperf.dataset.loader.burst_gpt import BurstGPTTraceDatasetLoader
from aiperf.dataset.loader.mooncake_trace import MooncakeTraceDatasetLoader

LOADERS = {"burst_gpt_trace": BurstGPTTraceDatasetLoader, "mooncake_trace": MooncakeTraceDatasetLoader}


def main(kind, path):
    dataset = SimpleNamespace(synthesis=None, inter_turn_delay_cap_seconds=None, block_size=None, prompts=None)
    config = SimpleNamespace(
        get_default_dataset=lambda: dataset, phases=[], tokenizer=None, get_model_names=lambda: ["m"]
    )
    loader = LOADERS[kind](
        filename=path,
        prompt_generator=MagicMock(),
        run=SimpleNamespace(cfg=config, random_seed=1),
    )
    turns = []
    for session, traces in loader.load_dataset().items():
        for trace in traces:
            turn = loader._build_turn(trace, "prompt")  # a Turn refuses max_tokens below 1
            turns.append([session, turn.timestamp, trace.input_length, turn.max_tokens])
    print(json.dumps(turns))


main(*sys.argv[1:])
