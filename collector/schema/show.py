"""``python -m collector.schema.show < BODY``: one message body, binary or JSON, as JSON for people and ``jq``."""

import sys

from collector.schema.codec import decode
from collector.schema.codec_json import dump
from collector.schema.errors import BadMessage


def main() -> int:
    """Read a body from standard input; write it as JSON, exit code 0, or say why it is none, exit code 1."""
    try:
        batch = decode(sys.stdin.buffer.read())
    except BadMessage as error:
        sys.stderr.write(f"not a message: {error}\n")
        return 1
    sys.stdout.buffer.write(dump(batch) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
