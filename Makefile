# Every target works from a bare checkout: it needs Python >= 3.11 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
	--custom-compile-command "make lock"

ROOMS := assets backtest bench bots contracts engine orchestration risk router store tidemark transforms venues

.DEFAULT_GOAL := help
.PHONY: help install dev demo test lint bench bench-smoke lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Tidemark needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	@touch $@

$(VENV)/runtime: $(VENV)/pip requirements.lock pyproject.toml
	@echo "installing the locked dependencies (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	@echo "installing the locked development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

install: $(VENV)/runtime  ## set up .venv from the hashed lock, compile everything and parse the dbt project once
	$(BIN)/python -m compileall -q $(ROOMS)
	$(BIN)/python -m engine
	$(BIN)/python -m risk
	$(BIN)/python -m venues.fills
	$(BIN)/python -m backtest
	$(BIN)/python -m transforms.parse

dev: install $(VENV)/dev

demo: install  ## backfill, compute and check on a simulated exchange, then leave the Dagster UI running
	$(BIN)/tidemark demo

# One worker more than a small machine has cores: some tests wait for whole processes.
test: dev  ## the suite: no network, no services started by hand (`pytest -m slow` runs what it leaves out)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev  ## ruff, mypy --strict and the table of rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: dev  ## every stated figure, at full size, against its peers
	$(BIN)/tidemark bench all

bench-smoke: dev  ## the same at small sizes with twice the tolerance (CI)
	$(BIN)/tidemark bench all --smoke

lock: $(VENV)/dev  ## refresh both lock files
	$(UV_LOCK) --output-file requirements.lock
	$(UV_LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove what was built here: .venv, caches and the demos (never your own data in .tidemark)
	@if [ -x $(BIN)/tidemark ]; then \
		for config in .tidemark/demo*/tidemark.yaml; do \
			[ ! -f "$$config" ] || $(BIN)/tidemark --config "$$config" db down --quiet || true; \
		done; \
	fi
	rm -rf $(VENV) .tidemark/demo* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
