"""`burstwatch engine`: the simulated engine as a command."""

import argparse
import asyncio
import logging

from workload.arguments import above_zero, whole
from workload.engine import constants
from workload.engine.scheduler import Limits, Pace
from workload.engine.server import EngineConfig, EngineServer
from workload.lifecycle import print_ready, quiet_gc, raise_open_files, stop_on_signals

log = logging.getLogger(__name__)

DESCRIPTION = """\
Serve a SIMULATED OpenAI-compatible engine: no GPU, no model, filler text. Its paged KV cache, continuous batching,
queue, preemption and refusals follow vLLM's scheduler, and /metrics carries vLLM's names, so bursts do to it what
they do to the real thing. One whitespace-separated word of a prompt counts as one token.
The calibrated constants and their sources are in workload/engine/constants.py.
"""

EPILOG = """\
examples:
  burstwatch engine                                   a Llama-2-7b-sized engine on a free port
  burstwatch engine --port 8000 --kv-blocks 800       a smaller cache: bursts hurt sooner
  burstwatch engine --model my-model --model alias    the names it answers to

Prints one JSON line {"event":"ready","component":"engine","url":...} when it serves. SIGTERM drains.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch engine",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=whole(0, 65535), default=0, help="TCP port, 0 picks a free one (default: 0)")
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="a name it answers to, repeatable; the first labels /metrics, others get a 404 as from vLLM "
        f"(default: any name; /metrics says {constants.MODELS[0]})",
    )
    add("--seed", type=int, default=0, help="for response lengths the client leaves open (default: %(default)s)")
    _add_limits(parser)
    _add_pace(parser)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add, some = parser.add_argument, whole(1)
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


def _add_pace(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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


def main(argv: list[str]) -> int:
    """Serve until a signal comes. Returns 0."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    raise_open_files()
    quiet_gc()
    config = EngineConfig(
        host=args.host,
        port=args.port,
        models=tuple(args.model or constants.MODELS),
        any_model=not args.model,
        limits=Limits(
            kv_blocks=args.kv_blocks,
            block_tokens=args.block_tokens,
            max_running=args.max_running,
            max_waiting=args.max_waiting,
            max_batched_tokens=args.max_batched_tokens,
            max_model_len=args.max_model_len,
            queue_timeout_s=args.queue_timeout_s,
        ),
        pace=Pace(decode_tokens_per_s=args.decode_tokens_per_s, prefill_tokens_per_s=args.prefill_tokens_per_s),
        seed=args.seed,
    )
    return asyncio.run(_serve(config))


async def _serve(config: EngineConfig) -> int:
    stop = stop_on_signals()
    server = EngineServer(config)
    await server.start()
    limits = config.limits
    log.info("serving url=%s simulated=true kv_blocks=%d", server.url, limits.kv_blocks)
    print_ready(
        "engine", url=server.url, models=config.models, kv_blocks=limits.kv_blocks, block_tokens=limits.block_tokens
    )
    await stop.wait()
    log.info("draining")
    await server.stop()
    return 0
