# Two commands are the whole set-up on a machine with Python 3.11 and make:
#   make run    installs, generates, starts the server and Envoy with demo data
#   make test   installs what the tests need and runs all of them

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
GENERATED := server/zimun/v1/descriptors.binpb
PROTOS := $(shell find protos -name "*.proto")
GOOGLEAPIS := build/googleapis/.done

.PHONY: install generate run test check security format bench baseline clean

install: $(INSTALLED) $(GENERATED)

$(INSTALLED): pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'setuptools>=80' 'grpcio-tools>=1.85,<2' 'googleapis-common-protos>=1.76,<2'
	$(BIN)/python setup.py --quiet generate
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[server,gateway,tracing,dev]'
	touch $@

generate: $(GENERATED)

$(GENERATED): $(INSTALLED) $(PROTOS)
	$(BIN)/python setup.py --quiet generate

# The google protos of the installed wheel, where buf finds them.
$(GOOGLEAPIS): $(INSTALLED) $(PROTOS)
	$(BIN)/python setup.py --quiet googleapis
	touch $@

run: install
	$(BIN)/zimun up --demo

# What needs the machine for itself comes last, one test after the other.
test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not quiet"
	$(BIN)/python -m pytest -m quiet

check: install $(GOOGLEAPIS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf lint
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	$(BIN)/python -m zimun_gateway --check envoy.yaml

# The long run of the security tests: FACTOR times the cases of CI, from SEED; prints the counts.
FACTOR ?= 100
SEED ?= 11
security: install
	SECURITY_FACTOR=$(FACTOR) SECURITY_SEED=$(SEED) $(BIN)/python -m pytest tests/security

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write protos
	$(BIN)/python -m zimun_gateway --write envoy.yaml

bench: install
	$(BIN)/python -m bench

# What `buf breaking` compares with: run it when a release has made a contract final.
baseline: install $(GOOGLEAPIS)
	$(BIN)/buf build protos --exclude-source-info --output protos/baseline.binpb

clean:
	rm -rf .venv build server/zimun/v1 *.egg-info
