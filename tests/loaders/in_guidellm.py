"""Runs inside guidellm's own environment: loads FILE as trace_synthetic or mooncake, prints its turns as JSON.

torch is a stand-in: only the data loader that feeds a running benchmark needs it, not what reads a trace.
"""

import json
import sys
from unittest.mock import MagicMock

import datasets  # noqa: F401 - both look for torch when they are imported, and find that there is none
import transformers  # noqa: F401


class Loader:
    """What guidellm's data loader inherits from."""

    def __class_getitem__(cls, _):
        return cls


STAND_INS = ("torch", "torch.utils", "torch.utils.data", "torch.utils.data.dataloader", "torch.utils.data.dataset")
for name in STAND_INS:
    module = MagicMock(name=name)
    module.DataLoader = module.IterableDataset = module.Dataset = module.Sampler = Loader
    sys.modules[name] = module

from guidellm.data.deserializers import DatasetDeserializerFactory  # noqa: E402
from guidellm.schemas.data.entrypoints import DataArgs  # noqa: E402

for name in STAND_INS:  # datasets asks what a tensor is of whatever is called torch
    del sys.modules[name]


class Tokenizer:
    """One token a word."""

    def encode(self, text):
        return text.split()

    def decode(self, tokens, **_):
        return " ".join(tokens)


def main(config):
    args = DataArgs.model_validate(json.loads(config))
    dataset = DatasetDeserializerFactory.deserialize(config=args, processor_factory=Tokenizer, random_seed=1)
    turns = []
    for row in dataset:
        for turn in json.loads(row["conversation_turns"])["turns"]:
            columns = turn["columns"]
            turns.append([
                columns["relative_timestamp_column"][0], columns["prompt_tokens_count_column"][0],
                columns["output_tokens_count_column"][0], len(columns["text_column"][0].split()),
            ])  # fmt: skip
    print(json.dumps(turns))


main(sys.argv[1])
