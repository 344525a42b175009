# Two commands are the whole set-up on a machine with Python 3.11 and make:
#   make run    installs, generates, starts the server and Envoy with demo data
#   make test   installs what the tests need and runs all of them

PYTHON ?= python3.11
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development
GENERATED := server/zimun/v1/descriptors.binpb
PROTOS := $(shell find protos -name "*.proto")
GOOGLEAPIS := build/googleapis/.done

# Installs nothing whose hash is not in constraints.txt.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode \
	--require-hashes --constraints constraints.txt --requirements pyproject.toml
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml --all-extras --group dev --group browser --group mutation \
	--universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --output-file constraints.txt

.PHONY: help install runtime generate run test test-fast coverage test-e2e test-chaos browser check security mutants format bench baseline lock upgrade clean

help: ## print this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand --tabs=12

install: $(DEVELOPMENT) $(GENERATED) ## install everything that development and tests need

runtime: $(RUNTIME) $(GENERATED) ## install what the server and Envoy need, and no more

# uv comes first, by pip, which checks its hash.
$(BIN)/uv:
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt

$(RUNTIME): constraints.txt pyproject.toml setup.py | $(BIN)/uv
	$(INSTALL) --extra server --extra gateway --group build
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(INSTALL) --all-extras --group dev
	touch $@

generate: $(GENERATED) ## compile protos/ into server/zimun/v1

$(GENERATED): $(RUNTIME) $(PROTOS)
	$(BIN)/python setup.py --quiet generate

# The google protos of the installed wheel, where buf finds them.
$(GOOGLEAPIS): $(RUNTIME) $(PROTOS)
	$(BIN)/python setup.py --quiet googleapis
	touch $@

run: runtime ## start the server and Envoy with demo data
	$(BIN)/zimun up --demo

# File by file, in order: servers that the tests of a folder share are started once in a process.
# Tests of processes wait as long as they compute: three keep two cores busy.
PYTEST := $(BIN)/python -m pytest
PROCESSES ?= 3
BY_FILE := --dist loadfile --no-loadscope-reorder
SIDE_BY_SIDE := --numprocesses $(PROCESSES) $(BY_FILE)
QUIET := -m quiet
# Other files than those with the mark would be imported for nothing.
QUIET_FILES = $(shell grep --recursive --files-with-matches --word-regexp --include="test_*.py" quiet tests)
CHAOS := --numprocesses 2 $(BY_FILE) tests/chaos
FAST := tests/unit tests/docs tests/storage tests/rpc tests/gateway
PROFILE ?= ci

# Processes that start again and again need not compile anew.
unexport PYTHONDONTWRITEBYTECODE

test: install ## run all tests
	$(PYTEST) $(SIDE_BY_SIDE) --hypothesis-profile $(PROFILE) -m "not quiet and not chaos"
	$(PYTEST) $(CHAOS) -m chaos
	$(PYTEST) $(QUIET) $(QUIET_FILES)

test-fast: install ## run the tests of units, documents, storage, RPCs and gateway
	$(PYTEST) $(SIDE_BY_SIDE) -m "not quiet" $(FAST)

# The floor is in pyproject.toml.
COVERAGE := $(BIN)/python -m coverage
coverage: install ## measure the branch coverage of the tests of test-fast; fails below its floor
	rm -rf build/coverage
	mkdir -p build/coverage
	$(COVERAGE) run -m pytest $(SIDE_BY_SIDE) -m "not quiet" $(FAST)
	$(COVERAGE) combine --quiet
	$(COVERAGE) report

test-e2e: install ## run the tests of the program from outside, and of what measures seconds
	$(PYTEST) $(SIDE_BY_SIDE) -m "not quiet" tests/e2e tests/examples tests/guides tests/clients
	$(PYTEST) $(QUIET) $(QUIET_FILES)

test-chaos: install ## run the tests with faults under load
	$(PYTEST) $(CHAOS)

check: install $(GOOGLEAPIS) ## format, lint, types, import rules, contract, Envoy's configuration
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf lint
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	$(BIN)/python -m zimun_gateway --check envoy.yaml

# The page at /docs in a real browser: CHROMIUM, or Debian's chromium-headless-shell or chromium.
browser: install ## test the page at /docs in a Chromium
	$(INSTALL) --all-extras --group dev --group browser
	$(BIN)/python -m pytest tests/browser

# The long run of the security tests: FACTOR times the cases of CI, from SEED; prints the counts.
FACTOR ?= 100
SEED ?= 11
security: install ## run the security tests for longer
	SECURITY_FACTOR=$(FACTOR) SECURITY_SEED=$(SEED) $(BIN)/python -m pytest tests/security

# MODULES=server/zimun/domain/intervals.py; those that survived again: ARGUMENTS="--survivors --profile ci"
mutants: install ## run tests on mutants of MODULES
	$(INSTALL) --all-extras --group dev --group mutation
	nice $(BIN)/python -m tests.mutation $(MODULES) $(ARGUMENTS)

format: install ## format the code, write envoy.yaml and the line links of docs/tour.md
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write protos
	$(BIN)/python -m zimun_gateway --write envoy.yaml
	$(BIN)/python docs/update_links.py docs/tour.md

bench: install ## measure requests per second against a no-op RPC
	$(BIN)/python -m bench

# What `buf breaking` compares with: run it when a release has made a contract final.
baseline: install $(GOOGLEAPIS) ## make protos/ what `buf breaking` compares with
	$(BIN)/buf build protos --exclude-source-info --output protos/baseline.binpb

lock: $(BIN)/uv ## pin what pyproject.toml requires and constraints.txt has not
	$(COMPILE)

upgrade: $(BIN)/uv ## pin the newest releases that pyproject.toml allows
	$(COMPILE) --upgrade

clean: ## remove what make has made
	rm -rf .venv build server/zimun/v1 *.egg-info
