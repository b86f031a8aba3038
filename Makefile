# make run    set up on first use, then start the app in the browser
# make test   set up on first use, then lint and run all tests
# make wheel  build dist/*.whl and the source archive; the wheel holds weights and the bundled region
# make audit  look for known vulnerabilities of what is installed
# make clean  remove the virtual environment and caches

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test lint format wheel audit clean

help:
	@sed -n 's/^# make/make/p' Makefile

run: $(VENV)/.runtime
	$(BIN)/python -m app --port $(PORT)

test: $(VENV)/.development lint
	$(BIN)/python -m pytest

lint: $(VENV)/.development
	$(BIN)/python -m ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy

format: $(VENV)/.development
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

wheel: $(VENV)/.development
	$(BIN)/python -m build

audit: $(VENV)/.runtime
	$(BIN)/python .ci/audit.py $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .mypy_cache .hypothesis

# The stamps are newer than what they were installed from, so nothing is asked of the network a second time.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "OpenDiff Planner needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 ...'." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@
