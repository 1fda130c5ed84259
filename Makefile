# Every target installs what it lacks (see packaging/setup) and can be run again.
SHELL := /bin/bash
PYTEST := .venv/bin/python -m pytest
PART ?= guide
POINTS ?= 1000
KEEP ?=
SEED ?= 1
BENCH ?=

.PHONY: help setup demo demo-down chaos test unit contract integration acceptance lint format explore bench fuzz kill

help: ## what there is to do
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

setup: ## install system packages and .venv
	@packaging/setup

demo: setup ## the HA guide end to end, on real programs (PART=move for the second half, KEEP=1 to leave it running)
	@.venv/bin/stationmaster demo --part $(PART) $(if $(KEEP),--keep)

demo-down: setup ## remove everything that a demo left
	@.venv/bin/stationmaster demo --down

chaos: setup ## strike a group under load with faults drawn from a seed (MINUTES=10 SEED=1 ONLY="fault fault")
	@.venv/bin/stationmaster lab chaos --minutes $(or $(MINUTES),10) --seed $(SEED) $(foreach fault,$(ONLY),--only $(fault))

lint: setup ## formatting, lint, types, import layers
	.venv/bin/ruff format --check src tests benches fuzz
	.venv/bin/ruff check src tests benches fuzz
	.venv/bin/mypy
	.venv/bin/lint-imports

unit: setup
	$(PYTEST) -q -n 2 tests/unit

contract: setup
	$(PYTEST) -q -n 2 --dist loadfile tests/contract tests/migration

integration: setup
	$(PYTEST) -q tests/integration

acceptance: setup
	$(PYTEST) -q tests/acceptance

# One run, one closing line. One worker takes the labs, one after another; the other takes everything else, file by file.
test: lint ## lint, then all tests: unit, contract, migration, integration, acceptance
	$(PYTEST) -q -n 2 --dist loadfile --no-loadscope-reorder tests/acceptance tests/integration tests/unit tests/contract tests/migration

format: setup ## rewrite the code as the formatter wants it
	.venv/bin/ruff format src tests benches fuzz
	.venv/bin/ruff check --fix src tests benches fuzz

explore: setup ## the HA protocol as a model: all worlds of each scenario, for at most MINUTES (10) (FAULTS=n for all)
	.venv/bin/python -m stationmaster.testing.exploration $(addprefix --faults ,$(FAULTS)) --minutes $(or $(MINUTES),10)

bench: ## timings, side by side with other tools, as ratios
	@packaging/setup bench
	.venv/bin/python -m benches $(BENCH)

fuzz: setup ## coverage-guided fuzzing of all parsers (MINUTES=60); what escapes is kept in .state/fuzz
	@.venv/bin/python -c 'import atheris' 2>/dev/null || .venv/bin/python -m pip install -q -e '.[fuzz]'
	@nice -n 19 .venv/bin/python -m fuzz --minutes $(or $(MINUTES),60)

kill: setup ## kill mirror commands at so many seeded effects (POINTS=1000), more than `make test` does
	STATIONMASTER_KILL_POINTS=$(POINTS) $(PYTEST) -q tests/integration/mirror/test_mirror_kill_points.py
