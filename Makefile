# make demo: install and generate SrTiO3 from the bundled weights
# make test: install and run the tests
# make lint: install the checkers and run them
#
# The environment is .venv, made by PYTHON (3.11 to 3.13); it is installed again when pyproject.toml or
# constraints.txt changes, and not otherwise.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet -c constraints.txt
PROSE := README.md CONTRIBUTING.md CHANGELOG.md Makefile pyproject.toml

.PHONY: demo test lint clean
.NOTPARALLEL: # two installs into one environment at a time would break it

demo: $(VENV)/.installed
	$(BIN)/unigen generate crystal --formula SrTiO3 --n 16 --out demo/

# One thread a worker: two workers with two threads each would only fight for two cores. Work is stolen, since a few
# tests take minutes: whoever is done takes what waits behind them.
test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell unigen tests data models eval configs $(wildcard $(PROSE))

clean:
	rm -rf $(VENV)

# A stamp of its own: a venv that broke off half-way has a bin/python too.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "UniGen needs Python 3.11 to 3.13, got $$($(PYTHON) --version); say: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.made
	$(INSTALL) -e '.[$*]'
	touch $@ $(VENV)/.installed
