# One command each. `make run` and `make test` create what they need and say what they do.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Suites with a target of their own: they need a server, a browser, npm or Apache Kafka.
SUITES := not grafana and not grafana_js and not browser and not stack and not loaders

.PHONY: help venv run test test-slow test-kafka test-browser test-grafana test-stack test-loaders check fix bench generate clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/.installed  ## make .venv with the burstwatch command in it

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "==> creating $(VENV) and installing burstwatch (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Burstwatch needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,grafana,workload]'
	@touch $@

run: venv        ## everything on one machine (ARGS="--help" shows the options)
	@echo "==> burstwatch up $(ARGS)   (Ctrl-C drains and leaves the captured trace behind)"
	@$(BIN)/burstwatch up $(ARGS)

test: venv       ## unit, property, broker and end-to-end tests (under 5 minutes)
	@echo "==> pytest (fast suites)"
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not bench and $(SUITES)" $(ARGS)

test-slow: venv  ## fault injection: kill -9 of every part, broker away, long runs
	@echo "==> pytest (slow suites)"
	@# Mutants of alerts and simulated truths are work for every core; the rest starts and kills processes, one after the other.
	@$(BIN)/python -m pytest -q -n 2 -m "slow and not bench and $(SUITES)" $(ARGS) tests/dashboards || [ $$? -eq 5 ]
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "slow and not bench and $(SUITES)" $(ARGS) tests/workload || [ $$? -eq 5 ]
	@$(BIN)/python -m pytest -q -m "slow and not bench and $(SUITES)" --ignore=tests/dashboards --ignore=tests/workload $(ARGS)

test-kafka: venv ## conformance and end-to-end suites against a real Apache Kafka (fetched from Maven Central)
	@$(BIN)/python -m tests.kafka.apache --run $(BIN)/python -m pytest -q -m "(kafka and not slow) or real_kafka" $(ARGS)

test-browser: venv ## the live page in a real headless Chromium
	@echo "==> pytest (browser)"
	@$(BIN)/python -m pytest -q -m "browser and not grafana_js" $(ARGS)

NODE := build/grafana-node

$(NODE)/.installed: tests/grafana/package.json tests/grafana/package-lock.json
	@echo "==> installing Grafana's own libraries into $(NODE) (once)"
	@mkdir -p $(NODE) && cp tests/grafana/package.json tests/grafana/package-lock.json $(NODE)/
	@cd $(NODE) && npm ci --silent --no-audit --no-fund
	@touch $@

test-grafana: venv $(NODE)/.installed ## boards judged by Grafana's own npm libraries, drawn in Chromium (needs npm)
	@echo "==> pytest (Grafana's own code)"
	@$(BIN)/python -m pytest -q -m grafana_js tests/grafana $(ARGS)

test-stack: venv ## the compose topology as processes: Apache Kafka, Prometheus, Alertmanager (needs Java and Maven)
	@echo "==> pytest (stack)"
	@$(BIN)/python -m pytest -q -s -m stack tests/stack $(ARGS)

LOADERS := build/loaders-venv

$(LOADERS)/.installed: tests/loaders/install.sh
	@echo "==> installing aiperf, guidellm and vLLM's dataset module into $(LOADERS) (once)"
	@sh tests/loaders/install.sh $(LOADERS) $(PYTHON) && touch $@

test-loaders: venv $(LOADERS)/.installed ## benchmark tools themselves read the traces we write (optional; not in CI)
	@echo "==> pytest (loaders)"
	@$(BIN)/python -m pytest -q -m loaders tests/loaders $(ARGS)

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
