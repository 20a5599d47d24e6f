"""The simulated engine's size and speed as command-line options: of `burstwatch engine` and of `bench --simulate`."""

import argparse

from workload.arguments import above_zero, whole
from workload.engine import constants
from workload.engine.scheduler import Limits, Pace


def add_engine_options(parser: argparse.ArgumentParser, title: str | None = None) -> None:
    """Add the options to a parser, under a heading if there is a ``title``."""
    add = (parser if title is None else parser.add_argument_group(title)).add_argument
    some = whole(1)
    add("--kv-blocks", type=some, default=constants.KV_BLOCKS, help="KV cache blocks (default: %(default)s)")
    add("--block-tokens", type=some, default=constants.BLOCK_TOKENS, help="tokens a block (default: %(default)s)")
    add("--max-running", type=some, default=constants.MAX_RUNNING, help="requests a batch (default: %(default)s)")
    add(
        "--max-waiting",
        type=some,
        default=constants.MAX_WAITING,
        help="requests that may queue; more are refused with 503 (default: %(default)s)",
    )
    add(
        "--max-model-len",
        type=some,
        default=constants.MAX_MODEL_LEN,
        help="prompt plus response, tokens; longer is refused with 400 (default: %(default)s)",
    )
    add(
        "--max-batched-tokens",
        type=some,
        default=constants.MAX_BATCHED_TOKENS,
        help="tokens one step may process (default: %(default)s)",
    )
    add("--queue-timeout-s", type=above_zero, help="seconds a request may queue before a 503 (default: no limit)")
    add(
        "--decode-tokens-per-s",
        type=above_zero,
        default=constants.DECODE_TOKENS_PER_S,
        help="tokens/s of a response that runs alone (default: %(default)s)",
    )
    add(
        "--prefill-tokens-per-s",
        type=above_zero,
        default=constants.PREFILL_TOKENS_PER_S,
        help="prompt tokens/s (default: %(default)s)",
    )


NAMES = (
    "kv_blocks",
    "block_tokens",
    "max_running",
    "max_waiting",
    "max_model_len",
    "max_batched_tokens",
    "queue_timeout_s",
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
)


def engine_options_given(args: argparse.Namespace, parser: argparse.ArgumentParser) -> list[str]:
    """Return which of these options differ from their defaults, as they are written."""
    given = [name for name in NAMES if getattr(args, name) != parser.get_default(name)]
    return [f"--{name.replace('_', '-')}" for name in given]


def limits_of(args: argparse.Namespace) -> Limits:
    """Return what the engine may hold, as parsed."""
    return Limits(
        kv_blocks=args.kv_blocks,
        block_tokens=args.block_tokens,
        max_running=args.max_running,
        max_waiting=args.max_waiting,
        max_batched_tokens=args.max_batched_tokens,
        max_model_len=args.max_model_len,
        queue_timeout_s=args.queue_timeout_s,
    )


def pace_of(args: argparse.Namespace) -> Pace:
    """Return how fast the engine is, as parsed."""
    return Pace(decode_tokens_per_s=args.decode_tokens_per_s, prefill_tokens_per_s=args.prefill_tokens_per_s)
