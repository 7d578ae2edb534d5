# Every chore of the project; `make` alone lists them. Needs GNU make and Python 3.11, nothing else: no AWS account, no
# Docker, no sudo. Everything Python needs is installed into .venv from requirements-lock.txt, once per lock; pip
# refuses a file whose hash is not in the lock.

# Interpreters to look for, in this order; the project is developed on 3.11. PYTHON=/path/to/python decides it by hand.
# Which Python Lambda runs does not depend on it: infra/package.py names that.
PYTHON ?= python3.11 python3.12 python3.13 python3
# Chalice 1.34.0 requires pip<26.3, and a newer pip would be downgraded half-way through the installation.
PIP := pip==26.2.1 \
  --hash=sha256:71138adf1f4ca900cdb7d289c21b7494329f2332b6d85f0e1c42108c0384ed3e \
  --hash=sha256:f6ad667e89a1fe78046c8f13232b247200f5258d7828f3f7883d660878e0813f
# Resolves versions and writes their hashes, for `make lock` only.
UV := uv==0.13.9
# The stage of .chalice/config.json that `make package` builds.
STAGE ?= dev
# Options for the program behind a target, for example: make serve ARGS="--api-port 8000"
ARGS ?=
# What `make lock` gives to uv: newer versions too, or only of one package (--upgrade-package NAME)
LOCK_ARGS ?= --upgrade

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

# The versions of the zip and of the development environment are the same, and hold for every Python from 3.11 on and
# every processor: hence hashes of all files of a version.
lock: ## resolve requirements*.in and requirements-dev.txt anew and write the locks with hashes
	@$(call new_environment,build/lock-venv)
	@build/lock-venv/bin/python -m pip install -qq $(UV)
	@echo "$(firstword $(PIP))" > build/lock-pip.txt
	@$(call lock_file,requirements-dev.txt,requirements-lock.txt,build/lock-pip.txt)
	@$(call lock_file,requirements.in,requirements.txt,requirements-lock.txt)
	@$(call lock_file,requirements-scan.in,requirements-scan.txt,build/lock-pip.txt)
	@rm -rf build/lock-venv build/lock-pip.txt

clean: ## delete .venv, build results and caches
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .chalice/deployments
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted installation starts again. --clear: packages of an older lock must not stay.
$(READY): requirements-lock.txt
	@$(call new_environment,$(VENV))
	@echo "installing the pinned dependencies into $(VENV) (once, about a minute)" >&2
	@$(PY) -m pip install -qq --require-hashes -r requirements-lock.txt
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
"$$python" -m venv --clear $(1) && echo "$(PIP)" | $(1)/bin/python -m pip install -qq --require-hashes -r /dev/stdin
endef

# Shell: write the lock $(2) of $(1), with the versions that $(3) pins.
define lock_file
build/lock-venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  $(LOCK_ARGS) --constraint $(3) --output-file $(2) $(1) >/dev/null && \
  sed -i.old '1i # What $(1) and all that it brings along is pinned to. Written by: make lock' $(2) && rm $(2).old
endef
