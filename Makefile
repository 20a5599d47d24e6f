# One command each. `make run` and `make test` create what they need and say what they do.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: help venv run test test-slow test-kafka check fix bench generate clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/.installed  ## make .venv with the burstwatch command in it

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "==> creating $(VENV) and installing burstwatch (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Burstwatch needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,grafana]'
	@touch $@

run: venv        ## everything on one machine (ARGS="--help" shows the options)
	@echo "==> burstwatch up $(ARGS)   (Ctrl-C drains and leaves the captured trace behind)"
	@$(BIN)/burstwatch up $(ARGS)

test: venv       ## unit, property, broker and end-to-end tests (under 5 minutes)
	@echo "==> pytest (fast suites)"
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not bench and not grafana" $(ARGS)

test-slow: venv  ## fault injection: kill -9 of every part, broker away, long runs
	@echo "==> pytest (slow suites)"
	@$(BIN)/python -m pytest -q -m "slow and not bench" $(ARGS)

test-kafka: venv ## conformance and end-to-end suites against a real Apache Kafka (fetched from Maven Central)
	@$(BIN)/python -m tests.kafka.apache --run $(BIN)/python -m pytest -q -m "(kafka and not slow) or real_kafka" $(ARGS)

check: venv      ## format, lint, types, import rules, generated files, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/burstwatch dashboards generate --check
	@$(MAKE) --no-print-directory test

fix: venv        ## format and apply safe lint fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

PEERS := build/bench-venv

$(PEERS)/.installed: tests/bench/pipeline/peers.txt
	@echo "==> creating $(PEERS) for the benchmark's peers (once)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --requirement $< && touch $@ || echo "==> no peers: their rows will say so"

bench: venv $(PEERS)/.installed ## benchmarks, with their peers in the same run
	@$(BIN)/python -m pytest -q -s -m bench tests/bench $(ARGS)

generate: venv   ## rewrite METRICS.md, boards and rules from their sources
	@$(BIN)/burstwatch dashboards generate

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
