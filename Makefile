# `make repro` and `make test` do all their own set-up in .venv and do nothing twice.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := repro
.PHONY: repro test test-long lint ui bench install clean

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
PIP := pip install --quiet --quiet --disable-pip-version-check
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Nothing here may reach a tracker's home or an update server by itself; weights are only ever read from local files.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true

# Two unlimited processes on two cores were seen to run 40 times slower: threads = cores / workers.
PYTEST := OMP_NUM_THREADS=$$(( ($$(getconf _NPROCESSORS_ONLN) + 1) / 2 )) pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

repro: $(INSTALLED)  ## run the pipeline and print the headline numbers
	@echo 'Running both probes on the embedded model: about 3 minutes the first time, 2 seconds when nothing changed.'
	@dvc repro
	@plantain headline

test: lint  ## lint, types, architecture and tests
	@$(PYTEST) -m 'not long'

test-long: $(INSTALLED)  ## the tests that are slow by nature
	@$(PYTEST) -m long

lint: $(INSTALLED)
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports --no-cache

ui: $(INSTALLED)  ## the MLflow UI on loopback
	plantain ui

bench: $(INSTALLED)  ## every benchmark, with the peers installed
	@$(PIP) --constraint constraints.txt --editable '.[bench]'
	@for script in benchmarks/stats.py benchmarks/capture.py benchmarks/report.py benchmarks/pipeline.py; do python $$script; done

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): about 2 minutes.'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "plantain needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@# Without a GPU the CPU build of torch saves gigabytes; where its index does not answer, plain pip decides.
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && ! pip show --quiet torch 2>/dev/null; then \
	  timeout 600 $(PIP) --no-deps --timeout 5 --retries 0 --index-url $(TORCH_CPU_INDEX) \
	    --constraint constraints.txt torch 2>/dev/null || echo 'The CPU index of torch did not answer; plain pip decides.'; \
	fi
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:  ## remove what a run makes, and keep the cache that results can be restored from
	rm -rf data models receipts mlflow reports/*/*/figures reports/*/*/index.html reports/index.html reports/asked.js reports/plots
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
