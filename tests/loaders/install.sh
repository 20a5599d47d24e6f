#!/bin/sh
# Puts the benchmark tools that tests/loaders runs into DIR: aiperf and guidellm as environments of their own (without
# torch, 5.7 GB that no trace loader needs), and of vLLM the one source file with its datasets.
# usage: tests/loaders/install.sh DIR [PYTHON]
set -eu
dir=$1
python=${2:-python3}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

[ -x "$dir/aiperf/bin/aiperf" ] || {
    "$python" -m venv "$dir/aiperf"
    "$dir/aiperf/bin/pip" install -q aiperf==0.13.0
}
[ -x "$dir/guidellm/bin/guidellm" ] || {
    "$python" -m venv "$dir/guidellm"
    "$dir/guidellm/bin/pip" install -q --no-deps guidellm==0.8.1
    "$dir/guidellm/bin/pip" install -q 'click~=8.4.0' 'culsans~=0.10.0' 'datasets>=5.0.1' eval_type_backport faker \
        'ftfy>=6.0.0' 'httpx[http2]<1.0.0' loguru msgpack 'numpy>=2' protobuf 'pydantic>=2.11.7' 'pydantic-settings>=2' \
        pyyaml rich sanic tabulate transformers uvloop 'more-itertools>=10.8.0' 'typing-extensions>=4.15.0' \
        'websockets>=13.0'
}
[ -f "$dir/vllm_datasets.py" ] || {
    # pip unpacks a source distribution before it finds that this one cannot be built here; the unpacked tree stays.
    mkdir -p "$dir/unpacked"
    TMPDIR="$dir/unpacked" "$python" -m pip download -q --no-clean --no-deps --no-build-isolation --no-binary :all: \
        -d "$dir/unpacked" vllm==0.32.0 >"$dir/vllm.log" 2>&1 || true
    find "$dir/unpacked" -path '*/vllm/benchmarks/datasets/datasets.py' -exec cp {} "$dir/vllm_datasets.py" \;
    rm -rf "$dir/unpacked"
    [ -f "$dir/vllm_datasets.py" ] || { echo "vLLM's source could not be had: see $dir/vllm.log" >&2; exit 1; }
}
