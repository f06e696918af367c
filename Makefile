# Every target sets up what it needs: a Python 3.11+ with venv is all that has to be there.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STAY ?=

.DEFAULT_GOAL := help
.PHONY: help venv controlplane demo test test-fast lint types layers format bench clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "spotmix needs Python 3.11 or newer; choose one with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing spotmix and its tools into .venv" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

venv: $(READY) ## set up the environment in .venv

controlplane: $(READY) ## find or build etcd and the Kubernetes binaries; the last line is their folder
	@$(BIN)/spotmix sandbox assets

demo: $(READY) ## a minute of Spotmix on a real control plane; STAY=1 keeps it up
	@$(BIN)/spotmix sandbox demo $(if $(STAY),--stay)

lint: $(READY) ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

layers: $(READY) ## who may import whom
	@$(BIN)/lint-imports

format: $(READY) ## let ruff put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test-fast: lint types layers ## all that needs no control plane
	@$(BIN)/python -m pytest -m 'not controlplane'

test: lint types layers controlplane ## everything, on a real control plane too
	@$(BIN)/python -m pytest

bench: $(READY) ## speed and memory, against Go and the bare scheduler
	@$(BIN)/python tests/bench/run.py

clean: ## remove the environment and build folders (the control plane's cache stays)
	rm -rf .venv tests/bench/.build .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks dist
