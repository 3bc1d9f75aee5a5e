# make up: the whole system on this machine. make test: everything that is checked.
SHELL := bash
PYTHON ?= python3
VENV := .venv

.PHONY: up down test check bench generate install
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version)"; exit 1; }
	@echo "Installing the Python packages into $(VENV) ..."
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is needed: sudo apt-get install python3-venv"; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

up: install
	@scripts/packages
	@$(VENV)/bin/zads stack up

down:
	@if [ -x $(VENV)/bin/zads ]; then $(VENV)/bin/zads stack down; else echo "nothing runs: the stack was never installed here"; fi

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: install
	@scripts/packages
	@$(MAKE) --no-print-directory check
	$(VENV)/bin/pytest

bench: install
	@scripts/packages
	@$(VENV)/bin/python benchmarks/stack.py

generate: install
	$(VENV)/bin/python -m zads.metrics > docs/metrics.md
	$(VENV)/bin/python -m dashboards.build
