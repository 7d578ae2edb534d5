# Every chore of the project; `make` alone lists them. Needs GNU make and Python 3.11, nothing else: no AWS account, no
# Docker, no sudo. Everything Python needs is installed into .venv from requirements-lock.txt, once per lock.

# Interpreters to look for, in this order. Lambda runs the version that packages the application, and the project is
# developed on 3.11. PYTHON=/path/to/python decides it by hand.
PYTHON ?= python3.11 python3.12 python3.13 python3
# Chalice 1.34.0 requires pip<26.3, and a newer pip would be downgraded half-way through the installation.
PIP_VERSION := 26.2.1
# The stage of .chalice/config.json that `make package` builds.
STAGE ?= dev
# Options for the program behind a target, for example: make serve ARGS="--api-port 8000"
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-deep figures fuzz mutants lint format scan package bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with the pinned dependencies (the other targets do it by themselves)
	@echo "$(VENV) is ready"

demo: $(READY) ## run the whole system here on generated events, print the report, check its sums, stop
	@$(PY) -m local demo $(ARGS)

serve: $(READY) ## run the whole system here until Ctrl-C
	@$(PY) -m local serve $(ARGS)

# Bytecode is kept whatever the environment says: the tests start some hundred processes of the project's.
test: $(READY) ## run the tests
	@PYTHONDONTWRITEBYTECODE= HYPOTHESIS_PROFILE=quick $(PY) -m pytest --numprocesses=3 --dist=loadfile $(ARGS)

test-deep: $(READY) ## hold the handlers to the reference model over more than 5,000 histories, with faults (DEEP_ROUNDS=8)
	@$(PY) -m tests.deep
	@HYPOTHESIS_PROFILE=deep $(PY) -m pytest --numprocesses=2 --dist=loadfile --timeout=7200 tests/reference tests/attribution tests/erasure $(ARGS)

figures: $(READY) ## hold reports and attribution models to SQL over the raw stream, with 100,000 events
	@FIGURES_EVENTS=100000 $(PY) -m pytest -q -s tests/reports/test_against_sql.py $(ARGS)

fuzz: $(READY) ## feed the handlers 200,000 broken records and journey steps, and print what became of them
	@HYPOTHESIS_PROFILE=deep $(PY) -m pytest -q -s --timeout=7200 tests/fuzz $(ARGS)

mutants: $(READY) ## break the rules one by one, in a copy: each breakage must make a test fail
	@$(PY) -m tests.mutants.run $(ARGS)

lint: $(READY) ## check style, format and types
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check . || { echo "not formatted; run: make format" >&2; exit 1; }
	@$(PY) -m mypy

format: $(READY) ## format the code and apply the linter's safe fixes
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format --quiet .

scan: $(READY) ## look for known weaknesses in code, template and dependencies (bandit, checkov, pip-audit)
	@$(PY) -m infra.scan

package: $(READY) ## build the Lambda zip and its template for stage STAGE=dev into build/package
	@$(PY) -m infra.package --stage $(STAGE) build/package

bench: $(READY) ## measure: run the tests marked "bench" and print their numbers
	@HYPOTHESIS_PROFILE=quick $(PY) -m pytest -m bench -s --timeout=3600 $(ARGS)

lock: ## resolve requirements-dev.txt anew and write requirements-lock.txt
	@$(call new_environment,build/lock-venv)
	@build/lock-venv/bin/python -m pip install -qq --upgrade setuptools wheel
	@build/lock-venv/bin/python -m pip install -qq -r requirements-dev.txt
	@{ echo "# Everything that requirements-dev.txt brings along, as it resolved on Python 3.11. Written by: make lock"; \
	   build/lock-venv/bin/python -m pip freeze --all | grep -v '^pip=='; } > build/requirements-lock.txt
	@mv build/requirements-lock.txt requirements-lock.txt && rm -rf build/lock-venv

clean: ## delete .venv, build results and caches
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .chalice/deployments
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted installation starts again. --clear: packages of an older lock must not stay.
$(READY): requirements-lock.txt
	@$(call new_environment,$(VENV))
	@echo "installing the pinned dependencies into $(VENV) (once, about a minute)" >&2
	@$(PY) -m pip install -qq -r requirements-lock.txt
	@touch $@

# Shell: make an empty virtual environment at $(1) with the pinned pip, or say what is missing.
define new_environment
for candidate in $(PYTHON); do \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { python="$$candidate"; break; }; \
done; \
if [ -z "$$python" ]; then \
  echo "Python 3.11 or newer is needed; none of these is: $(PYTHON)" >&2; \
  for candidate in $(PYTHON); do echo "  $$candidate: $$("$$candidate" --version 2>&1 | head -n 1)" >&2; done; \
  echo "Install one, or name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; \
fi; \
if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
  echo "$$python cannot create virtual environments: its module ensurepip is missing." >&2; \
  echo "On Debian and Ubuntu the package python3-venv brings it (python3.11-venv for that version)." >&2; \
  echo "Or name another interpreter: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; \
fi; \
"$$python" -m venv --clear $(1) && $(1)/bin/python -m pip install -qq pip==$(PIP_VERSION)
endef
