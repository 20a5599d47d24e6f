"""The options of `burstwatch replay`, and what they mean as values."""

import argparse
import os
from pathlib import Path

from collector.schema.columns import is_token
from collector.schema.errors import OperatorError
from workload.arguments import above_zero, not_below_zero, require_file, whole
from workload.replay.options import Balance, Endpoint, ReplayOptions, SessionMode

DESCRIPTION = """\
Send a trace to an OpenAI-compatible server: BurstGPT CSV (6 or 8 columns), Azure CSV, or any format that
`burstwatch trace convert` reads. Open loop: each request leaves at its recorded time, whatever became of the earlier
ones. Only the turns of one session wait for each other (--sessions). Each request is streamed, with a prompt of the
recorded number of tokens, max_tokens = min_tokens = the recorded response tokens and ignore_eos (vLLM, SGLang and
`burstwatch engine` then answer exactly that many), and x-session-id from the row.
"""

EPILOG = """\
examples:
  burstwatch replay trace.csv --url http://127.0.0.1:8000/v1
  burstwatch replay BurstGPT_3.csv --url http://gpu7:8000/v1 --model my-model --speed 10 --duration-s 600
  burstwatch replay trace.csv --url http://127.0.0.1:8000/v1 --json - --no-progress | jq .send_lag_s
  burstwatch replay trace.csv --url http://a:8000/v1 --url http://b:8000/v1 --balance least-open --warm-up-s 60
  burstwatch replay trace.csv --url http://a:8000/v1 --slo-ttft-s 1 --slo-tpot-s 0.1 --requests requests.csv
  burstwatch replay trace.csv --url https://api.example.com/v1 --api-key-env API_KEY --no-ignore-eos --model small

A summary is printed at the end (--json FILE: as JSON instead, - for stdout): counts, failures by reason, first
token, time between chunks (as they arrive; a chunk may hold several tokens) and per further token (end less first
token, over the tokens less one), latency, send lag (when it should have left to when its bytes did) and by how much
slow answers moved sessions later. Ctrl-C stops sending, gives running requests 3 s, and still reports. Exit code 1
if nothing succeeded. Rows without token counts are skipped and counted. Where a row names no model (Azure), the
server's first is asked.

A closed session's next turn leaves after the answer before it plus the recorded think time, and carries the earlier
turns (as many as the recorded request tokens leave room for); --sessions open sends each turn alone, at its time.
Prompts are made-up words, each beginning unlike all others so that no prefix cache answers (--shared-prefix lets
it). How many tokens a word makes is learned from the server's own counts; the error is in the summary.
Rows recorded as cancelled or timed out (sidecars tell) are given up after their recorded time.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="burstwatch replay",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="the trace")
    add("--format", metavar="NAME", help="what the file is (default: judged by its first lines)")
    _add_server(parser.add_argument_group("server"))
    _add_pace(parser.add_argument_group("pace"))
    _add_requests(parser.add_argument_group("requests"))
    _add_results(parser.add_argument_group("results"))
    return parser


def _add_server(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--url", action="append", required=True, help="the server's OpenAI base URL, ending in /v1; repeatable")
    add(
        "--balance",
        type=Balance,
        choices=list(Balance),
        default=Balance.ROUND_ROBIN,
        help="which of several servers is next: in turn, or the one with the fewest open requests (default: in turn)",
    )
    add("--model", help="ask for this model whatever the rows say (default: the row's)")
    add("--api-key-env", metavar="NAME", help="environment variable that holds the bearer token (never logged)")
    add("--timeout-s", type=above_zero, default=300.0, help="for one whole request (default: %(default)s)")
    add(
        "--retries",
        type=whole(0, 10),
        default=0,
        metavar="N",
        help="send again what was refused or broke (429, 5xx, connection), N times at most, after 0.5, 1, 2.. s; "
        "counted apart (default: none)",
    )


def _add_pace(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--speed", type=above_zero, default=1.0, help="trace seconds per real second (default: %(default)s)")
    add("--limit", type=whole(1), metavar="N", help="send N requests at most (default: all)")
    add("--duration-s", "--duration", type=above_zero, metavar="S", help="send for S seconds (default: to the end)")
    add("--loop", action="store_true", help="begin again at the end, until --duration-s, --limit or Ctrl-C")
    add(
        "--sessions",
        type=SessionMode,
        choices=list(SessionMode),
        default=SessionMode.CLOSED,
        help="turns of one session wait for the answer before them, or leave at their times (default: closed)",
    )
    add("--warm-up", type=whole(0), default=0, metavar="N", help="do not count the first N requests")
    add("--warm-up-s", type=not_below_zero, default=0.0, metavar="S", help="nor what is due in the first S seconds")
    add(
        "--ramp-s",
        type=not_below_zero,
        default=0.0,
        metavar="S",
        help="let the rate rise from 0 over S seconds, by stretching time: no request is left out",
    )
    add(
        "--concurrency-max",
        type=whole(1, 100_000),
        default=1024,
        metavar="N",
        help="open requests at most; the next one waits and its send lag shows it (default: %(default)s)",
    )
    add("--no-priority", action="store_true", help="do not ask the system for real-time priority")


def _add_requests(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--endpoint", choices=("chat", "completions"), default="chat", help="which call (default: %(default)s)")
    add(
        "--no-ignore-eos",
        action="store_true",
        help="leave out ignore_eos and min_tokens: for servers that refuse them; answers may then be shorter",
    )
    add(
        "--failed",
        choices=("skip", "send"),
        default="skip",
        help="rows recorded as failed (0 response tokens): leave out, or send asking for 1 token "
        "(default: %(default)s)",
    )
    add("--patient", action="store_true", help="do not give up where the trace's clients did")
    add("--prompts", metavar="FILE", help="your prompts, one a line or JSONL, cut or joined to length")
    add(
        "--prompt-tokens-per-word",
        type=_per_word,
        metavar="auto|X",
        help="tokens a word makes (default: auto: learned from the server's counts)",
    )
    add("--tokenizer", metavar="PATH", help="a tokenizer.json to size prompts by (needs the tokenizers package)")
    add("--shared-prefix", action="store_true", help="prompts need not begin unlike each other")
    add("--seed", type=whole(0), help="of the prompts (default: a new one each time; it is in the summary)")


def _add_results(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--json", metavar="OUT", help="write the summary as JSON to this file, - for stdout")
    add("--out", metavar="CSV", help="what was measured as a trace in BurstGPT's eight columns")
    add("--requests", metavar="FILE", help="every measured column of every request, as CSV, or JSON lines (.jsonl)")
    add("--slo-ttft-s", type=above_zero, metavar="S", help="count as served well: first token within S")
    add("--slo-tpot-s", type=above_zero, metavar="S", help="count as served well: S per further token at most")
    add("--events-kafka", metavar="HOST:PORT", help="send arrivals and completions there, as an agent would")
    add("--service", default="replay", help="what those events call the service (default: %(default)s)")
    add("--no-progress", action="store_true", help="no progress (a bar on a terminal, else a line every 10 s)")


def options_of(args: argparse.Namespace) -> ReplayOptions:
    """Return the replay's options. Raises ``OperatorError`` for what cannot be."""
    for url in args.url:
        if not url.startswith(("http://", "https://")):
            raise OperatorError(f"--url must begin with http:// or https://, not {url!r}")
    if not is_token(args.service):
        raise OperatorError("--service must be 1-128 printable ASCII characters without spaces")
    return ReplayOptions(
        urls=tuple(dict.fromkeys(args.url)),
        speed=args.speed,
        model=args.model,
        limit=args.limit,
        duration_s=args.duration_s,
        send_failed=args.failed == "send",
        sessions=args.sessions,
        endpoint=Endpoint.CHAT if args.endpoint == "chat" else Endpoint.TEXT,
        ignore_eos=not args.no_ignore_eos,
        timeout_s=args.timeout_s,
        as_recorded=not args.patient,
        concurrency_max=args.concurrency_max,
        prompts=args.prompts,
        tokens_per_word=args.prompt_tokens_per_word,
        tokenizer=args.tokenizer,
        shared_prefix=args.shared_prefix,
        seed=args.seed,
        balance=args.balance,
        api_key=_api_key(args.api_key_env),
        retries=args.retries,
        warm_up=args.warm_up,
        warm_up_s=args.warm_up_s,
        ramp_s=args.ramp_s,
        slo_ttft_s=args.slo_ttft_s,
        slo_tpot_s=args.slo_tpot_s,
    )


def require_files_apart(args: argparse.Namespace) -> None:
    """Raise ``OperatorError`` where a result would overwrite the trace or another result, or has no folder to be in.

    Found out before an hour of replay, not after it.
    """
    taken = {Path(args.file).resolve(): "the trace"}
    if args.prompts is not None:
        taken[Path(args.prompts).resolve()] = "the file of --prompts"
    for option, out in (("--json", args.json), ("--out", args.out), ("--requests", args.requests)):
        if out is None or (option == "--json" and out == "-"):
            continue
        path = Path(out).resolve()
        if path in taken:
            raise OperatorError(f"{option} {out} would overwrite {taken[path]}: name another file")
        if not path.parent.is_dir():
            raise OperatorError(f"cannot write {option} {out}: there is no folder {Path(out).parent}")
        require_file(Path(out), option)
        taken[path] = f"the file of {option}"


def _api_key(name: str | None) -> str | None:
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise OperatorError(f"--api-key-env: the environment variable {name} is not set")
    if not (key.isascii() and key.isprintable()):
        raise OperatorError(f"--api-key-env: what {name} holds cannot be sent in a header")
    return key


def _per_word(text: str) -> float | None:
    return None if text == "auto" else above_zero(text)
