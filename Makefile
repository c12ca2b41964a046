# Everything that CI and people run. `make demo` and `make test` install what is missing and say so.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev libvirt-daemon-driver-qemu \
	qemu-system-x86 qemu-utils tcpdump busybox-static iproute2 util-linux
TESTS ?= tests
PYTEST_FLAGS ?=

.PHONY: help setup packages demo test check wheels release bench docs clean

help:  ## say what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: packages $(VENV)/.installed  ## install what is missing: Debian packages (as root) and the virtual environment

packages:
	@packaging/install-packages $(PACKAGES)

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "setup: installing Shoal and its tools into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## run the main job: a lab of three hosts, two namespaces, real guests and tunnels
	@$(BIN)/shoal guest build
	@state=$$(mktemp --directory --tmpdir shoal-demo-XXXXXX) && trap 'rm -rf "$$state"' EXIT && \
		$(BIN)/shoal lab --hosts 3 --state "$$state" -- $(BIN)/python demo/demo.py && \
		demo/nothing-left "$$state"

test: setup  ## run all tests: unit, transcripts, component, system
	@$(BIN)/pytest $(PYTEST_FLAGS) $(TESTS)

check: setup  ## ruff, mypy, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

wheels: setup  ## build the wheel and try it in clean environments, one for each extra (from the package index)
	@$(BIN)/python packaging/try_wheels.py

release: setup  ## check that tag, version and changelog agree, and build what is uploaded into dist/
	@packaging/check-release
	@$(BIN)/python packaging/try_wheels.py --keep dist

bench: setup  ## measure, print one table, and write the tables of docs/performance.md
	@$(BIN)/python benchmarks/schedule.py --write docs/performance.md
	@$(BIN)/python -m benchmarks --write docs/performance.md

docs: setup  ## write the pages that are generated from the code
	@$(BIN)/python -m shoal.cli.reference > docs/commands.md
	@$(BIN)/python packaging/prometheus/write_table.py
	@$(BIN)/python packaging/write_configuration.py
	@$(BIN)/python packaging/completions/write.py
	@$(BIN)/python -m shoal_orchestrator.contract docs

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
