# Every verb sets up what it needs: in a fresh clone `make demo` is all there is to do.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all covered uncovered matrix lowest newest check format style types mypy pyright layers fresh docs dist bench regression faults chaos durability soak fuzz exactness compatibility mutation generate clean
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Tests start many interpreters, which are slow when they have to compile every module anew.
export PYTHONDONTWRITEBYTECODE :=

# The first Python on the path that is new enough and can make virtual environments; `make PYTHON=...` chooses another,
# `make VENV=...` another place for it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The extra that goes into a new environment: `dev` for all verbs, `test` for `make test`.
EXTRA ?= dev
LOOP ?= asyncio
VERSIONS ?= 3.11 3.12 3.13
# Tests wait for servers and for timers half of the time: four processes keep two cores busy.
PROCESSES ?= 4
FAST := not timing and not container and not wheel and not servers and not site and not slow
# Tests with random input, and those of which others look at the same more briefly, need no coverage, which slows them.
UNCOVERED := (hypothesis or wheel or servers or site or slow) and not timing and not container
THOROUGH := --hypothesis-profile=thorough
SLOWEST := --timeout=600 --durations=25
PARALLEL := -n $(PROCESSES) --dist worksteal
# A process that `test-all` waits for before it measures; CI sets up environments beside the tests before.
AFTER ?=
# A test that hangs fails after two minutes by pytest-timeout. If it hangs again while it cleans up, its process ends.
BOUND := -o faulthandler_timeout=300

help:  ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## set up the virtual environment, as every verb does when it is missing (PYTHON=, VENV=, EXTRA=)

demo: $(STAMP)  ## compile the sample contract, run its service, call it, show what happens
	@$(BIN)/weenats demo

test: $(STAMP)  ## run the fast tests in parallel, without coverage (ARGS=paths and options of pytest, PROCESSES=)
	$(BIN)/python -m pytest -q $(PARALLEL) $(BOUND) -m "$(FAST)" $(ARGS)

test-all: $(STAMP)  ## run all tests, those that measure time alone, with branch coverage of 98 % or more
	@$(BIN)/coverage erase
	@failed=; \
	$(SIDE_BY_SIDE) covered uncovered || failed=1; \
	while [ -n "$(AFTER)" ] && kill -0 $(AFTER) 2>/dev/null; do sleep 1; done; \
	echo "== tests that run alone: timing, chaos, soak, fuzzing"; \
	$(BIN)/coverage run -m pytest -q $(SLOWEST) -m timing || failed=1; \
	$(BIN)/coverage combine --quiet; \
	$(BIN)/coverage report || failed=1; \
	[ -z "$$failed" ]

# A variable: make runs lines with its own name also with --dry-run.
SIDE_BY_SIDE = $(MAKE) --jobs=2 --keep-going

covered: $(STAMP)
	@echo "== fast tests, and those in containers, with coverage"
	@$(BIN)/coverage run -m pytest -q $(PARALLEL) $(SLOWEST) -m "(($(FAST)) or container) and not hypothesis"

# They compute while the others wait; what they print is shown at the end.
uncovered: $(STAMP)
	@printed=$$($(BIN)/python -m pytest -q -n 2 --dist worksteal $(SLOWEST) $(THOROUGH) -m "$(UNCOVERED)" 2>&1); code=$$?; \
	printf '%s\n' "== slow tests, and those with random input with many examples, without coverage" "$$printed"; \
	exit $$code

# VERB=setup only sets the environments up.
VERB ?= test
IN_OTHER = $(MAKE) $(VERB) EXTRA=test

# A version is on the path or among pyenv's; pyenv's stand-ins on the path do not run where their version is not chosen.
matrix:  ## run the fast tests on each supported Python that this machine has (VERSIONS=, ARGS=)
	@for version in $(VERSIONS); do \
		python=$$(for p in python$$version "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python; do \
			"$$p" -c 'import venv, ensurepip' 2>/dev/null && { echo "$$p"; break; }; done); \
		if [ -z "$$python" ]; then missing="$$missing $$version"; continue; fi; \
		echo "== Python $$version"; \
		$(IN_OTHER) PYTHON="$$python" VENV=.venvs/$$version && passed="$$passed $$version" || failed="$$failed $$version"; \
	done; \
	echo "== passed:$${passed:- none}; failed:$${failed:- none}; not on this machine:$${missing:- none}"; \
	[ -z "$$failed" ]

lowest:  ## run the fast tests with the lowest version of each dependency that pyproject.toml allows (ARGS=)
	@mkdir -p .venvs
	@"$(PYTHON)" tests/packaging/lowest.py pyproject.toml >.venvs/lowest.txt
	@PIP_CONSTRAINT=.venvs/lowest.txt $(IN_OTHER) VENV=.venvs/lowest

newest: $(STAMP)  ## run tests with the newest nats-py, which pyproject.toml may not allow yet (ARGS=)
	@rm -rf .venvs/nats-py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venvs/nats-py nats-py
	@ls -d .venvs/nats-py/nats_py-*
	@PYTHONPATH=.venvs/nats-py $(MAKE) test ARGS="$(or $(ARGS),tests/runtime/transport tests/integration)"

# The slowest first, since two run at a time.
check: $(STAMP)  ## check style, types, layers, and that everything generated is up to date
	@$(MAKE) --jobs=2 --keep-going --output-sync pyright mypy layers style fresh

format: $(STAMP)  ## fix style and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

style: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: mypy pyright

mypy: $(STAMP)
	$(BIN)/mypy

pyright: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python --warnings

layers: $(STAMP)
	$(BIN)/lint-imports

fresh: $(STAMP)
	$(BIN)/weenats check schemas --out generated
	$(BIN)/python -m weenats_codegen.wire_messages --check
	$(BIN)/python runtime/site/llms.py --check

generate: $(STAMP)  ## generate all generated code anew
	$(BIN)/weenats generate schemas --out generated
	$(BIN)/python -m weenats_codegen.wire_messages
	$(BIN)/python runtime/site/llms.py

docs: $(STAMP)  ## build the site of the guides and of the public docstrings into .site/, fail on any warning
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --config-file runtime/site/mkdocs.yml
	@echo "open .site/index.html"

dist: $(STAMP)  ## build wheel and sdist into dist/ and check their metadata
	@rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

bench: $(STAMP)  ## measure weenats beside nats-py and a service by hand (LOOP=uvloop, BASE=revision, PEERS=1, ARGS=--short)
	@$(if $(PEERS),$(MAKE) peers)
	@PYTHONPATH=tests $(if $(PEERS),.venvs/peers/bin,$(BIN))/python tests/benchmarks --loop $(LOOP) \
		$(if $(BASE),--base $(BASE)) $(if $(PEERS),--peers) $(ARGS)

# Other frameworks do not go into the environment of the tests.
peers:
	@test -d .venvs/peers || "$(PYTHON)" -m venv .venvs/peers
	@.venvs/peers/bin/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[all]' \
		--requirement tests/benchmarks/peers.txt

regression: $(STAMP)  ## check that a typed call costs a server at most 1.3 times what it did (BASE=revision)
	@$(BIN)/python tests/benchmarks/revisions.py $(or $(BASE),HEAD^) --check

faults: $(STAMP)  ## measure what clients see while servers of a cluster fail or restart (ARGS=--short)
	@PYTHONPATH=tests $(BIN)/python tests/cluster $(ARGS)

chaos: $(STAMP)  ## make everything fail that can fail, for five minutes (SEED=, SECONDS=)
	@PYTHONPATH=tests $(BIN)/python -m testkit.chaos chaos --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

durability: $(STAMP)  ## check 100,000 commands, then as many events, while instances and servers are killed (WHAT=, COUNT=, KEYS=, PAUSE=, SECONDS=, SEED=)
	@for what in $(or $(WHAT),commands events); do \
		echo "== $$what"; \
		PYTHONPATH=tests $(BIN)/python -m testkit.durability $$what --count $(or $(COUNT),100000) --keys $(or $(KEYS),1000) \
			$(if $(PAUSE),--pause $(PAUSE)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) || failed=1; \
	done; [ -z "$$failed" ]

soak: $(STAMP)  ## check for leaks during ten minutes at half of the possible load (SECONDS=)
	@PYTHONPATH=tests $(BIN)/python -m testkit.chaos soak --seconds $(or $(SECONDS),600)

fuzz: $(STAMP)  ## send 100,000 malformed messages to a service (COUNT=, SEED=)
	COUNT=$(or $(COUNT),100000) SEED=$(SEED) $(BIN)/python -m pytest -m timing tests/chaos/test_fuzz_subjects.py -s -q

exactness: $(STAMP)  ## compare generated code with a validator on 2,000 random schemas, 51 documents each (COUNT=, SEED=)
	COUNT=$(or $(COUNT),2000) SEED=$(SEED) $(BIN)/python -m pytest -q $(PARALLEL) $(BOUND) -rP $(THOROUGH) \
		tests/codegen/exactness/test_random_schemas.py

compatibility: $(STAMP)  ## check verdicts on 2,000 random pairs of schemas, 10,000 documents each (COUNT=, DOCUMENTS=, SEED=)
	COUNT=$(or $(COUNT),2000) DOCUMENTS=$(or $(DOCUMENTS),10000) SEED=$(SEED) \
		$(BIN)/python -m pytest -q $(PARALLEL) -o faulthandler_timeout=3600 -rP $(THOROUGH) --timeout=3600 \
		tests/codegen/compatibility/test_random_pairs.py

mutation: $(STAMP)  ## check that tests notice changes of the code (MODULE=subjects takes a minute, all an hour or two)
	@$(BIN)/python tests/mutation $(MODULE)

clean:  ## remove virtual environments, caches and everything built
	rm -rf $(VENV) .venvs .site dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .mutation

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer, with venv and pip" >&2; exit 1; }
	@echo "setting up $(VENV) (once, about a minute)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[$(EXTRA)]'
	@touch $@
