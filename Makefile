# Every target works alone on a fresh machine with make and Python 3.11 or newer.
#   make PYTHON=python3.12 test     another Python
#   make ARGS='-k misty1' test      arguments for pytest, or for the demo or the benchmarks
#   make WORKERS=8 test             so many tests at a time
#   make UPGRADE=1 lock             the newest versions instead of the locked ones

PYTHON ?= python3
ARGS ?=

# Tests wait for sockets and databases: four share two processors well.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 4); echo $$((n > 4 ? n : 4)))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --require-hashes
EDITABLE := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
UV_VERSION := 0.13.9
LOCK_VENV := .venv-lock
UV_COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' $(LOCK_VENV)/bin/uv --no-config pip compile \
	--quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	$(if $(UPGRADE),--upgrade)

# A .venv whose Python has gone (upgraded, moved away) is made anew.
$(shell test -x $(BIN)/python || rm -rf .venv)

.DELETE_ON_ERROR:
.PHONY: help demo test check check-format check-lint check-types check-imports check-dependencies \
	check-errors errors format bench torture proof town lock clean venv

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| while IFS='|' read -r target text; do printf '  make %-8s %s\n' "$$target" "$$text"; done

demo: .venv/installed-runtime ## money in, token out, light on: the whole loop in a minute
	@$(BIN)/meterhouse demo $(ARGS)

test: .venv/installed-dev ## run all tests
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) $(ARGS)

check: check-format check-lint check-types check-imports check-errors check-dependencies ## format, lint, types, import contracts, docs/errors.md, dependencies

check-format: .venv/installed-dev
	$(BIN)/ruff format --check .
check-lint: .venv/installed-dev
	$(BIN)/ruff check .
check-types: .venv/installed-dev
	$(BIN)/mypy
check-imports: .venv/installed-dev
	$(BIN)/lint-imports --no-logo
check-errors: .venv/installed-dev
	$(BIN)/python -m tools.errors_page --check
check-dependencies: .venv/installed-dev
	$(BIN)/python -m tools.dependencies

format: .venv/installed-dev ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

errors: .venv/installed-dev ## make docs/errors.md from the code
	$(BIN)/python -m tools.errors_page

bench: .venv/installed-dev ## measure speed and memory
	@$(BIN)/python -m benchmarks $(ARGS)

torture: .venv/installed-dev ## 100,000 vends under kill -9, repeats and races, then count (ARGS='--seed N')
	@$(BIN)/python -m benchmarks.torture $(ARGS)

proof: .venv/installed-dev ## 10,000 meters read and commanded while workers and database die, then count
	@$(BIN)/python -m benchmarks.proof $(ARGS)

town: .venv/installed-dev ## 5,000 customers for a year, their ledger against an independent recount
	@$(BIN)/python -m benchmarks.town $(ARGS)

lock: ## pin the dependencies of pyproject.toml anew (UPGRADE=1: newest versions)
	@test -x $(LOCK_VENV)/bin/uv || $(PYTHON) -m venv $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION)
	$(UV_COMPILE) pyproject.toml --output-file requirements.lock
	$(UV_COMPILE) pyproject.toml --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(UV_COMPILE) --group build --constraint requirements-dev.lock \
		--output-file requirements-build.lock

clean: ## remove everything that make made
	rm -rf .venv $(LOCK_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: .venv/installed-dev ## only install: .venv with everything for development

# The stamps are newer than the locks that they were installed from; a second run does nothing.
.venv/installed-runtime: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "Installing meterhouse and what it needs into .venv ..."
	@$(INSTALL) -r requirements.lock -r requirements-build.lock
	@$(EDITABLE)
	@touch $@

.venv/installed-dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing meterhouse and its development tools into .venv ..."
	@$(INSTALL) -r requirements-dev.lock
	@$(EDITABLE)
	@touch $@

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "No '$(PYTHON)' here: meterhouse needs Python 3.11" \
		"or newer. Install it, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "'$(PYTHON)' is" \
		"$$("$(PYTHON)" --version 2>&1): meterhouse needs Python 3.11 or newer." \
		"Name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; echo "'$(PYTHON)' cannot make a virtual" \
		"environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
