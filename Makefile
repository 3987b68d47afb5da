# `make quickstart` and `make test` need only Python 3.11 or newer with pip: each creates .venv and
# installs what it needs, once; stamp files in .venv remember it until pyproject.toml or
# constraints.txt change.

# Python 3.11 first: the versions in constraints.txt were run with it.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
    $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null \
    && echo $$name && break; done)
# Options of pip for torch alone. On Linux the torch that pip finds by itself may be the CUDA build,
# which is larger by gigabytes; README.md says what to put here for the CPU build.
TORCH_OPTIONS ?=
# Options for pytest, e.g. make test PYTEST_OPTIONS="-x -k diffusion".
PYTEST_OPTIONS ?=

BACKEND := $(or $(KERAS_BACKEND),tensorflow)
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(RUN) -m pytest --quiet $(PYTEST_OPTIONS)

export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: help quickstart test test-tensorflow test-jax test-torch test-slow test-page lint format \
    types pages notebooks docs docs-serve hooks constraints clean

help:
	@echo "make quickstart  train, sample and export on handwritten digits (recipes/digits.py)"
	@echo "make test        run the fast tests on TensorFlow, JAX and torch (-j2: side by side)"
	@echo "make test-slow   run the slow tests with KERAS_BACKEND (tensorflow by default)"
	@echo "make test-page   run the tests of the page in the browser (keras-bld demo)"
	@echo "make lint        check style and formatting;  make format  repairs both"
	@echo "make types       check the public API against its annotations"
	@echo "make docs        build the manual in site/;  make docs-serve  shows it while you write"
	@echo "make notebooks   run docs/notebooks, outputs included"
	@echo "make pages       write the generated parts of the manual anew"
	@echo "make hooks       let git check the style at every commit"
	@echo "make constraints write the installed versions to constraints.txt"
	@echo "make clean       remove .venv and caches (never runs/)"

quickstart: .venv/.installed-recipes
	KERAS_BACKEND=$(BACKEND) $(RUN) recipes/digits.py

test: test-tensorflow test-jax test-torch

# Tests marked `once` do not depend on the backend: torch is the quickest, for it compiles nothing.
# What is exported from TensorFlow is tested there.
LEFT_OUT_tensorflow := not once
LEFT_OUT_jax := not once and not on_tensorflow
LEFT_OUT_torch := not on_tensorflow

test-tensorflow: .venv/.installed-all
	KERAS_BACKEND=tensorflow $(PYTEST) -m "not slow and $(LEFT_OUT_tensorflow)"

test-jax: .venv/.installed-all
	KERAS_BACKEND=jax $(PYTEST) -m "not slow and $(LEFT_OUT_jax)"

test-torch: .venv/.installed-all
	KERAS_BACKEND=torch $(PYTEST) -m "not slow and $(LEFT_OUT_torch)"

# pytest ends with 5 where no test is selected.
test-slow: .venv/.installed-all
	KERAS_BACKEND=$(BACKEND) $(PYTEST) -m "slow and $(LEFT_OUT_$(BACKEND))" || test $$? -eq 5

# Chromium is the system's, or what `playwright install chromium` put beside it.
test-page: .venv/.installed-browser
	KERAS_BACKEND=tensorflow $(PYTEST) tests/serving/test_page_layout.py

lint: .venv/.installed-all
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/.installed-all
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: .venv/.installed-docs
	.venv/bin/mypy

pages: .venv/.installed-all
	$(RUN) docs/pages.py

# Material's word on a successor of its own is not ours to follow at each build.
notebooks: .venv/.installed-all
	$(RUN) docs/notebooks/execute.py

docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

docs-serve: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs serve

hooks: .venv/.installed-all
	.venv/bin/pre-commit install

constraints: .venv/.installed-docs .venv/.installed-browser
	( head -n 2 constraints.txt; \
	  .venv/bin/pip freeze --exclude-editable | grep '==' | sed 's/+[a-z0-9.]*$$//' \
	  | tr 'A-Z_' 'a-z-' | sort ) > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Some distributions ship Python without ensurepip: then pip installs itself from outside.
.venv/.created:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found: make PYTHON=/path/to/python" >&2; exit 1; }
	$(RUN) -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv .venv \
	    || { $(PYTHON) -m venv --without-pip .venv \
	    && $(PYTHON) -m pip --python $(RUN) install --quiet pip; }
	touch $@

.venv/.installed-recipes: pyproject.toml constraints.txt | .venv/.created
	$(PIP) --editable ".[recipes]"
	touch $@

# torch by itself and first, so that TORCH_OPTIONS concern nothing else.
.venv/.installed-all: .venv/.installed-recipes
	$(PIP) $(TORCH_OPTIONS) torch
	$(PIP) --editable ".[dev,export,jax,torch,ray,serve,text]"
	touch $@

.venv/.installed-browser: .venv/.installed-all
	$(PIP) --editable ".[browser]"
	touch $@

.venv/.installed-docs: .venv/.installed-all
	$(PIP) --editable ".[docs]"
	touch $@
