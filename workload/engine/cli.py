"""`burstwatch engine`: the simulated engine as a command."""

import argparse
import asyncio
import logging

from workload.arguments import whole
from workload.engine import constants
from workload.engine.options import add_engine_options, limits_of, pace_of
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
    add_engine_options(parser)
    return parser


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
        limits=limits_of(args),
        pace=pace_of(args),
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
