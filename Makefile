# make up: the whole system on this machine. make test: everything that is checked.
SHELL := bash
VENV := .venv
export PYTHON ?= python3
# Programs that scripts/packages unpacked into the cache come after those of the system.
CACHE := $(or $(ZADS_CACHE_DIR),$(shell echo ~/.cache/zads))
export PATH := $(PATH):$(CACHE)/bin

.PHONY: up down test check bench replay drill generate install compose-test
install:
	@scripts/packages install
	@scripts/venv install

up:
	@scripts/packages up
	@scripts/venv up
	@$(VENV)/bin/zads stack up

down:
	@scripts/down

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test:
	@scripts/packages test
	@$(MAKE) --no-print-directory check
	@scripts/tests

bench:
	@scripts/packages test
	@scripts/venv install
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[bench]'
	@$(VENV)/bin/python benchmarks/stack.py
	@$(VENV)/bin/python -m benchmarks.lag
	@$(VENV)/bin/python -m benchmarks.export_all
	@$(VENV)/bin/python -m benchmarks.seconds
	@$(VENV)/bin/python -m benchmarks.decode
	@$(VENV)/bin/python -m benchmarks.egress
	@$(VENV)/bin/python -m benchmarks.egress --cpu
	@$(VENV)/bin/python -m benchmarks.notifier
	@$(VENV)/bin/python -m benchmarks.wall

# Nights in which nobody may be woken, and faults that must wake somebody: every rule, Alertmanager's inhibition, hours of it.
replay:
	@scripts/packages test
	@scripts/venv install
	@$(VENV)/bin/python -m tests.replay

# Faults on the running stack, and what is told of them, and when: make drill, or make drill DRILL="--only Kafka".
drill:
	@test -x $(VENV)/bin/python || { echo "No stack was ever started here: make up, then make drill." >&2; exit 2; }
	@$(VENV)/bin/python -m tests.drills $(DRILL)

generate: install
	$(VENV)/bin/python -m zads.metrics > docs/metrics.md
	$(VENV)/bin/python -m zads.config_docs > docs/config.md
	$(VENV)/bin/python -m dashboards.build

# docker-compose.yml, really run. Where containers cannot be run it says why, and that is no failure.
compose-test: install
	@scripts/compose-test || [ $$? -eq 77 ]
