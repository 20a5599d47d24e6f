"""`burstwatch agent`: checks the configuration, opens what must stay open, and supervises the two processes."""

import argparse
import json
import logging
import socket
import tomllib
from pathlib import Path
from typing import Any

from collector.config import Config, ConfigProblems, ProxyConfig, parse_config
from collector.schema.errors import OperatorError
from collector.sources.recording import load_recording
from collector.spool import folder
from collector.supervise import Agent

DESCRIPTION = """Watch a serving node: sources -> batches -> disk spool -> Kafka.

One TOML file names the agent, Kafka, and any number of sources: `trace` plays a recorded trace file, `proxy`
is a transparent OpenAI-compatible reverse proxy, `vllm` reads an engine's /metrics. Events wait in the spool
(bounded, on disk) while Kafka is away, and nothing spooled is lost by kill -9 of any process.

An agent whose sources are all traces ends by itself, with exit code 0, when everything is in Kafka. To play a
trace again, give it another spool_dir: the spool remembers how far it has been read.
"""

EXAMPLES = """example configuration:
  [agent]
  id = "node-1"                     # default: the host's name
  spool_dir = "/var/lib/burstwatch" # relative paths start at this file's folder

  [kafka]
  bootstrap_servers = "127.0.0.1:9092"

  [[sources]]
  type = "proxy"
  service = "chat"
  listen = "127.0.0.1:8080"         # port 0: any free one, printed when ready
  upstream = "http://127.0.0.1:8000"

  [[sources]]
  type = "trace"
  service = "recorded"
  path = "BurstGPT_1.csv"
  speed = 60                        # times the recorded pace; 0: as fast as it can
  origin = "now"                    # or a time like "2023-11-01T00:00:00Z" (the default for relative traces)

examples:
  burstwatch agent -c agent.toml --check
  burstwatch agent -c agent.toml --kafka broker-1:9092,broker-2:9092
"""

# A killed agent's children notice within moments and end themselves within two seconds.
LOCK_WAIT_S = 6.0
BACKLOG = 1024


def main(argv: list[str]) -> int:
    """Run the agent. Returns 0 when drained or finished; raises ``OperatorError`` for what must be mended."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s agent %(message)s")
    path = Path(options.config).absolute()
    raw = _load(path)
    for table, key, value in (("kafka", "bootstrap_servers", options.kafka), ("agent", "spool_dir", options.spool)):
        if value is not None:
            raw[table] = {**raw.get(table, {}), key: value}
    config = _checked(raw, path, _unreadable_traces(raw, path.parent) if options.check else [])
    if options.check:
        print(f"{path.name}: ok, {len(config.sources)} source{'s' if len(config.sources) != 1 else ''}")
        return 0
    spool = config.agent.spool_dir
    folder.prepare(spool)
    lock = folder.lock(spool, wait_s=LOCK_WAIT_S)
    listeners = _listen(config)
    setup = {"config": _json_ready(raw), "base": str(path.parent)}
    return Agent(config, setup, lock=lock, listeners=listeners, on_ready=lambda: _announce(listeners)).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch agent",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", required=True, metavar="FILE", help="the configuration, TOML")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="Kafka to send to, instead of the file's")
    parser.add_argument("--spool", metavar="DIR", type=lambda text: str(Path(text).absolute()),
                        help="spool folder, instead of the file's")  # fmt: skip
    parser.add_argument("--check", action="store_true",
                        help="check the configuration and the traces it names, start nothing")  # fmt: skip
    return parser


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}; give the configuration with -c FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is not TOML: {error}") from None


def _checked(raw: dict[str, Any], path: Path, others: list[str]) -> Config:
    """Return the configuration. Raises ``OperatorError`` with all that is wrong with it, and the ``others``."""
    problems = others
    try:
        config = parse_config(raw, path.parent)
        if not others:
            return config
    except ConfigProblems as found:
        problems = found.problems + others
    if len(problems) == 1:
        raise OperatorError(f"{path}: {problems[0]}")
    listed = "".join(f"\n  {problem}" for problem in problems)
    raise OperatorError(f"{path}: {len(problems)} problems{listed}")


def _unreadable_traces(raw: dict[str, Any], base: Path) -> list[str]:
    """Return what an agent would die of at its start: traces that are not there, or are none. Reads them whole."""
    problems = []
    sources = raw.get("sources")
    for index, source in enumerate(sources if isinstance(sources, list) else []):
        name = source.get("path") if isinstance(source, dict) and source.get("type") == "trace" else None
        if not isinstance(name, str) or not name:
            continue  # told as a problem of the configuration, where it is one
        try:
            load_recording(base / name)
        except OperatorError as error:
            problems.append(f"sources[{index}].path cannot be played: {error}")
    return problems


def _listen(config: Config) -> dict[str, socket.socket]:
    """Bind every proxy's port, here, so that connections outlive a restart of the process that serves them."""
    listeners: dict[str, socket.socket] = {}
    for index, source in enumerate(config.sources):
        if not isinstance(source, ProxyConfig):
            continue
        try:
            family = socket.getaddrinfo(source.host, source.port, type=socket.SOCK_STREAM)[0][0]
            listeners[source.name] = socket.create_server((source.host, source.port), family=family, backlog=BACKLOG)
        except OSError as error:
            where = f'sources[{index}].listen = "{source.host}:{source.port}"'
            raise OperatorError(f"cannot listen on {where}: {error.strerror}; choose another port or host") from None
    return listeners


def _json_ready(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with TOML's times as text, which the configuration takes as well."""
    ready: dict[str, Any] = json.loads(json.dumps(raw, default=lambda value: value.isoformat()))
    return ready


def _announce(listeners: dict[str, socket.socket]) -> None:
    proxies = []
    for listener in listeners.values():
        host, port = listener.getsockname()[:2]
        proxies.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    print(json.dumps({"event": "ready", "component": "agent", "proxies": proxies}), flush=True)
