# `make run` and `make test` are all the set-up there is; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED := $(shell date +%s)
# Bytecode is kept, whatever the shell says: each process of the tests would compile all of them anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test test-core test-random test-all dev serve bench lint browser docs sbom clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.core ## Run the whole pipeline: whatever is not up to date
	$(BIN)/mlops-assets run

test: $(VENV)/.test ## Run the tests
	$(BIN)/python -m pytest

test-core: $(VENV)/.test ## Run the tests of the pure part only: under a minute
	$(BIN)/python -m pytest mlops_assets_tests/core

test-random: $(VENV)/.test ## Run the tests in any order; `make test-random SEED=...` repeats one
	@echo SEED=$(SEED)
	$(BIN)/python -m pytest -p randomly --randomly-seed=$(SEED)

test-all: $(VENV)/.test ## Run the tests, and those that take minutes: clusters, object stores, PostgreSQL for everything
	$(BIN)/python -m pytest -m "slow or not slow"

dev: $(VENV)/.core ## Open the Dagster UI, the MLflow UI, the form and the dashboards on what `make run` made
	$(BIN)/mlops-assets dev

serve: $(VENV)/.core ## Serve predictions of the champion, the form and the dashboards over HTTP
	$(BIN)/mlops-assets serve

bench: $(VENV)/.test ## Measure, and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

lint: $(VENV)/.test ## Check style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

browser: $(VENV)/.test ## Add what browser tests need (Chromium itself comes from the system)
	sh scripts/install.sh test,browser

docs: $(VENV)/.docs ## Build the docs as a site that needs no network: open site/index.html
	$(BIN)/python -m mkdocs build --quiet --strict

sbom: $(VENV)/.core ## List all installed packages with versions and licences, as CycloneDX, in var/sbom.cdx.json
	mkdir -p var
	$(BIN)/python scripts/sbom.py >var/sbom.cdx.json

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) var site

$(VENV)/.core: pyproject.toml constraints.txt scripts/install.sh
	sh scripts/install.sh "" $(PYTHON)
	touch $@

$(VENV)/.test: $(VENV)/.core
	sh scripts/install.sh test $(PYTHON)
	touch $@

$(VENV)/.docs: $(VENV)/.core
	sh scripts/install.sh docs $(PYTHON)
	touch $@
