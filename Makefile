# make run    set up on first use, then start the app in the browser
# make test   set up on first use, then lint and run all tests
# make fast   run the tests that take a moment
# make coverage  run all tests and say which lines they ran
# make lowest  run the fast tests with the lowest versions that the requirements allow
# make docs   build the site of the documents into build/site
# make wheel  build dist/*.whl and the source archive; the wheel holds weights and the bundled region
# make run LOCKED=1  the same with the very versions and files of requirements.lock
# make lock   write requirements.lock anew: the newest versions that requirements.txt allows, with their hashes
# make audit  look for known vulnerabilities of what is installed
# make clean  remove the virtual environment and caches

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
LOWEST := build/lowest
UV := 0.13.9
QUICK := not slow and not browser
# three processes of one thread each, for two cores: tests in a browser wait much; a file's tests stay together, so what
# its fixtures made is made once; the files come in the order of tests/conftest.py, not by their number of tests
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
test fast coverage lowest: export OMP_NUM_THREADS = 1
# commands that tests start find their code compiled by the first of them; empty counts as unset
test fast coverage lowest: export PYTHONDONTWRITEBYTECODE =
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test fast coverage lowest lint format docs wheel lock audit clean

help:
	@sed -n 's/^# make/make/p' Makefile

run: $(VENV)/.$(if $(filter 1,$(LOCKED)),locked,runtime)
	$(BIN)/python -m app --port $(PORT)

test: $(VENV)/.development lint
	$(BIN)/python -m pytest $(PARALLEL)

# where nothing waits, a third process costs more to start than it gains
fast: PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
fast: $(VENV)/.development
	$(BIN)/python -m pytest $(PARALLEL) -m "$(QUICK)"

coverage: $(VENV)/.development
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered

lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	sed -E 's/>=([^,]*),.*/==\1/' requirements.txt requirements-dev.txt > $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pip install --quiet -r $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -m "$(QUICK)"

lint: $(VENV)/.development
	$(BIN)/python -m ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy

format: $(VENV)/.development
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

docs: $(VENV)/.documents
	$(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html"

wheel: $(VENV)/.development
	$(BIN)/python -m build

# uv is a tool of this target alone; the settings of this machine's own index stay out of the file
lock:
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet uv==$(UV)
	env -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS build/lock/bin/uv pip compile requirements.txt \
	  --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock

audit: $(VENV)/.runtime
	$(BIN)/python .ci/audit.py $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .mypy_cache .hypothesis .coverage build

# The stamps are newer than what they were installed from, so nothing is asked of the network a second time.
$(VENV)/.runtime: requirements.txt
$(VENV)/.locked: requirements.lock
$(VENV)/.runtime $(VENV)/.locked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "OpenDiff Planner needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 ...'." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { rm -rf $(VENV); echo "This Python cannot make a virtual environment with pip; install its package for that" \
	    "(Debian and Ubuntu: apt install python3-venv) and run make again." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet $(if $(findstring locked,$@),--require-hashes) -r $<
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

$(VENV)/.documents: requirements-docs.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-docs.txt
	@touch $@
