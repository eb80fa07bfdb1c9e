# Every verb builds what it needs: a fresh clone and `make demo` is all set-up there is.
.DEFAULT_GOAL := help
.PHONY: help demo test suite matrix lowest check style types layers fresh bench faults chaos soak fuzz mutation generate clean
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first Python on the path that is new enough and can make virtual environments; `make PYTHON=...` chooses another,
# `make VENV=...` another place for it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOOP ?= asyncio
VERSIONS ?= 3.11 3.12 3.13

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## compile the sample contract, run its service, call it, show what happens
	@$(BIN)/weenats demo

test: $(STAMP)  ## all tests, over a real nats-server, with branch coverage
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

suite: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

# A version is on the path or among pyenv's; pyenv's stand-ins on the path do not run where their version is not chosen.
matrix:  ## all tests on each Python that is supported, as far as the machine has them
	@for version in $(VERSIONS); do \
		python=$$(for p in python$$version "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python; do \
			"$$p" -c 'import venv, ensurepip' 2>/dev/null && { echo "$$p"; break; }; done); \
		if [ -z "$$python" ]; then missing="$$missing $$version"; continue; fi; \
		echo "== Python $$version"; \
		$(MAKE) suite PYTHON="$$python" VENV=.venvs/$$version && passed="$$passed $$version" || failed="$$failed $$version"; \
	done; \
	echo "== passed:$${passed:- none}; failed:$${failed:- none}; not on this machine:$${missing:- none}"; \
	[ -z "$$failed" ]

lowest:  ## all tests with the lowest versions of all dependencies that pyproject.toml allows
	@mkdir -p .venvs
	@"$(PYTHON)" tests/packaging/lowest.py pyproject.toml >.venvs/lowest.txt
	@PIP_CONSTRAINT=.venvs/lowest.txt $(MAKE) suite VENV=.venvs/lowest

check: style types layers fresh  ## style, types, layers, freshness of everything generated

style: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python --warnings

layers: $(STAMP)
	$(BIN)/lint-imports

fresh: $(STAMP)
	$(BIN)/weenats check schemas --out generated
	$(BIN)/python -m weenats_codegen.wire_messages --check

bench: $(STAMP)  ## weenats beside raw nats-py and a hand-written service (LOOP=asyncio|uvloop)
	@$(BIN)/python tests/benchmarks --loop $(LOOP) $(ARGS)

faults: $(STAMP)  ## what clients see while servers of a cluster are killed, hang, are cut off, are upgraded
	@PYTHONPATH=tests $(BIN)/python tests/cluster

chaos: $(STAMP)  ## break everything that can break, for five minutes (SEED=, SECONDS=)
	@PYTHONPATH=tests $(BIN)/python -m testkit.chaos chaos --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

soak: $(STAMP)  ## ten minutes at half load: memory, tasks and subscriptions stay (SECONDS=)
	@PYTHONPATH=tests $(BIN)/python -m testkit.chaos soak --seconds $(or $(SECONDS),600)

fuzz: $(STAMP)  ## 100,000 spoilt messages on every subject (COUNT=, SEED=)
	COUNT=$(or $(COUNT),100000) SEED=$(SEED) $(BIN)/pytest tests/chaos/test_fuzz_subjects.py -s -q

mutation: $(STAMP)  ## falsify the code, 85 % of it must be noticed by tests; an hour or two, not in CI (MODULE=auth|wire|...)
	@$(BIN)/python tests/mutation $(MODULE)

generate: $(STAMP)  ## write everything generated anew
	$(BIN)/weenats generate schemas --out generated
	$(BIN)/python -m weenats_codegen.wire_messages

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) .venvs dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .mutation

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer, with venv and pip" >&2; exit 1; }
	@echo "setting up $(VENV) (once, about a minute)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
