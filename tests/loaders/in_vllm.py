"""Runs vLLM's own benchmark dataset classes out of its source file SOURCE; the engine around them is a stand-in.

Prints what BurstGPTDataset or TimedTrace would send of FILE as JSON: timestamp, prompt length, output length.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import random
import sys
from pathlib import Path
from unittest.mock import MagicMock

ABSENT = (
    "vllm", "transformers", "PIL", "pybase64", "datasets", "soundfile", "torch", "huggingface_hub", "tqdm", "librosa",
)  # fmt: skip


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives an empty module for everything the source imports beyond numpy and pandas."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - the protocol's
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in ABSENT else None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__ = spec, []
        return module

    def exec_module(self, module):
        """Nothing to run."""


class Tokenizer:
    """One token a word; the words are numbers."""

    vocab_size = 1000
    all_special_ids = ()

    def get_vocab(self):
        return {str(i): i for i in range(self.vocab_size)}

    def decode(self, tokens, **_):
        return " ".join(map(str, tokens))


def main(source, kind, path, number):
    sys.meta_path.insert(0, StandIns())
    spec = importlib.util.spec_from_file_location("vllm_datasets", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["vllm_datasets"] = module
    spec.loader.exec_module(module)
    random.seed(0)
    if kind == "burstgpt":
        dataset = module.BurstGPTDataset(dataset_path=path, random_seed=0)
        dataset.get_random_lora_request = lambda **_: None
    else:
        labels = {f"timed_trace_label_{n}": n for n in ("timestamp", "input_length", "output_length", "hash_ids")}
        dataset = module.TimedTrace(dataset_path=path, random_seed=0, **labels)
    made = dataset.sample(Tokenizer(), int(number))
    rows = []
    for one in made:
        words = one.prompt.split() if isinstance(one.prompt, str) else one.prompt
        rows.append([getattr(one, "timestamp", None), len(words), one.expected_output_len])
    Path("/dev/stdout").write_text("\n" + json.dumps(rows))


main(*sys.argv[1:])
