# `make` lists the targets. Each one works from nothing: it sets up .venv first if that is needed.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL = @echo "installing into $(VENV) (a few minutes)" && $(PY) -m pip install --quiet --constraint constraints.txt --editable

BASE := $(VENV)/.installed
DOCS := $(VENV)/.installed-docs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(BASE)  ## fit the estimators on real data: a table, and pictures in build/demo/
	$(PY) examples/demo.py

.PHONY: test
test: $(BASE)  ## run all tests (ARGS="..." goes to pytest)
	$(PY) -m pytest --numprocesses auto --maxprocesses 8 $(ARGS)

.PHONY: test-portable
test-portable: $(BASE)  ## repeat the numerical tests as other machines compute (ARGS="--help")
	$(PY) tests/portable.py $(ARGS)

.PHONY: lint
lint: $(BASE)  ## check style, formatting and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

.PHONY: format
format: $(BASE)  ## reformat, and repair what can be repaired
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: docs
docs: $(DOCS)  ## build the documentation into docs/_build/html/
	$(PY) -m sphinx -W --keep-going -b html docs docs/_build/html

.PHONY: bench
bench: $(BASE)  ## compare with peers, in one table (FULL=1: every size, into the docs)
	$(PY) benchmarks/run.py $(if $(FULL),--full)

.PHONY: wheel
wheel: $(BASE)  ## build a wheel into dist/
	$(PY) -m pip wheel --no-deps --wheel-dir dist .

.PHONY: clean
clean:  ## remove everything that is built, but keep .venv
	rm -rf build dist skem.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/_build docs/api/generated docs/auto_examples
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean  ## remove .venv too
	rm -rf $(VENV)

$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "error: '$(PYTHON)' is not Python >= 3.11, which skem needs" \
	         "($$($(PYTHON) --version 2>/dev/null || echo 'no such command'))." \
	         "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || { \
	    echo "creating $(VENV)"; \
	    $(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 \
	    || { echo "venv has no ensurepip: installing pip into $(VENV) from outside"; \
	         $(PYTHON) -m venv --clear --without-pip $(VENV) \
	         && $(PYTHON) -m pip --python $(PY) install pip; } \
	    || { echo "error: cannot create $(VENV) with '$(PYTHON)'. It needs either the ensurepip" \
	              "module (Debian and Ubuntu: apt install python3-venv) or pip >= 22.3." >&2; \
	         exit 1; }; }
	$(PIP_INSTALL) '.[plot,progress,dask,test,lint]'
	@touch $@

$(DOCS): $(BASE)
	$(PIP_INSTALL) '.[docs]'
	@touch $@
