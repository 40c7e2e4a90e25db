# `make app` is all a reader needs; the rest is for those who change things.
PYTHON ?= python3
PORT ?=
ADDRESS ?=
WATCH ?=
ARGS ?=

VENV := .venv
VIEW_VENV := .venv-view
RUN := $(VENV)/bin/python
APP_READY := $(VENV)/.app-ready
TEST_READY := $(VENV)/.test-ready
VIEW_READY := $(VIEW_VENV)/.ready

# A worker a core; on two, one takes the browser's tests and waits, the other computes.
PYTEST = $(RUN) -m pytest --numprocesses auto --dist worksteal
# Streamlit opens a browser itself where there is a screen; CI has none.
STREAMLIT = app.py $(if $(PORT),--server.port $(PORT)) \
	$(if $(ADDRESS),--server.address $(ADDRESS)) $(if $(WATCH),--server.fileWatcherType $(WATCH)) $(if $(CI),--server.headless true)
BENCHMARKS = $(filter-out benchmarks/_% benchmarks/screenshots.py,$(wildcard benchmarks/*.py))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_DEFAULT_TIMEOUT ?= 60
export PIP_RETRIES ?= 8

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help app view test thorough zoo check lint format results assets bench docs soak screenshots clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo '  PORT=8600, ADDRESS=0.0.0.0 and WATCH=auto go with app and view, ARGS="-k name" with test, PYTHON=python3.13 with all.'

app: $(APP_READY) ## install everything on first use and start the app
	$(RUN) $(STREAMLIT)

view: $(VIEW_READY) ## a light install, without torch, that looks at cached runs
	$(VIEW_VENV)/bin/python $(STREAMLIT)

test: $(TEST_READY) ## run the tests, each page's main path in the browser among them
	$(PYTEST) -m "not thorough and not zoo" $(ARGS)

thorough: $(TEST_READY) ## walk every page in every theme, size and state, with axe-core
	$(PYTEST) -m thorough $(ARGS)

zoo: $(TEST_READY) ## count the networks of torchvision, timm and transformers
	$(RUN) -m pip install -r requirements-zoo.txt
	$(PYTEST) -m zoo $(ARGS)

check: lint test thorough ## formatting, lint, types, import arrows, then all the tests

lint: $(TEST_READY) ## everything in check but the tests
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: $(TEST_READY) ## format, and mend what ruff can
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

results: $(APP_READY) ## search again for the cached runs in assets/
	$(RUN) -m aiq_core results $(ARGS)

assets: $(APP_READY) ## make the profiles, excerpts and labels in assets/ again
	$(RUN) -m aiq_core assets $(ARGS)

bench: $(TEST_READY) ## run every benchmark
	@for script in $(BENCHMARKS); do echo "== $$script"; PYTHONPATH=. $(RUN) $$script $(ARGS) || exit 1; done

docs: $(TEST_READY) ## make docs/results.md and its charts again, from the bundled results
	PYTHONPATH=. $(RUN) benchmarks/joint_cost.py --write
	PYTHONPATH=. $(RUN) docs/make.py

soak: $(TEST_READY) ## kill and restart searches for a while
	PYTHONPATH=. $(RUN) tests/soak.py $(ARGS)

screenshots: $(TEST_READY) ## photograph every page for the README
	PYTHONPATH=. $(RUN) benchmarks/screenshots.py $(ARGS)

clean: ## remove what make installed and the caches
	rm -rf $(VENV) $(VIEW_VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Real prerequisites, not order-only: a Python that is replaced, or a requirement that changes, installs again.
$(APP_READY): requirements.txt requirements-view.txt $(VENV)/bin/python
	$(RUN) -m pip install -r requirements.txt
	@touch $@

$(TEST_READY): requirements-test.txt requirements.txt requirements-view.txt $(VENV)/bin/python
	$(RUN) -m pip install -r requirements-test.txt
	@touch $@ $(APP_READY)

$(VIEW_READY): requirements-view.txt $(VIEW_VENV)/bin/python
	$(VIEW_VENV)/bin/python -m pip install -r requirements-view.txt
	@touch $@

%/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo 'make: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $$($(PYTHON) --version) is too old; AIQ Explorer needs 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $* || \
		{ rm -rf $*; echo 'make: could not create $*; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
