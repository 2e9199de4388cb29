# One word per chore. `make demo` and `make test` set up everything they need on a fresh Debian or Ubuntu machine.

.DEFAULT_GOAL := help
.PHONY: help setup peers demo serve test repeat lint types check bench nightly audit image docs clean

PYTHON := .venv/bin/python
READY := .venv/.ready
SOURCES := triage workers listener atlas simulation

# Real scans for the tests marked `real`; without the folder those tests are skipped and say so.
export ICANSEE_SHARED ?= $(abspath ../shared)

# How much make nightly does. Each round has 1,000 interleavings of patient histories.
ROUNDS ?= 10
MINUTES ?= 10
KILLS ?= 20
COMBINATIONS ?= 600

# A node starts ten processes and the tests start hundreds: each would compile our source and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

# Test processes share the cores; see listener/__init__.py.
export OPENBLAS_NUM_THREADS ?= 1

help:
	@echo "make demo    a node, two synthetic patients sent by C-STORE, their decisions (a few minutes); STAY=1 keeps it up"
	@echo "make serve   the node in the foreground, with config.yaml"
	@echo "make test    all tests; installs the DICOM and database servers they talk to (apt)"
	@echo "make repeat  make test ten times (N=10), two of them beside a benchmark; a table of times and failures"
	@echo "make lint    style and import contracts"
	@echo "make types   static types"
	@echo "make check   lint, types, test"
	@echo "make bench   accuracy and speed"
	@echo "make nightly long searches with new random numbers: properties, histories of patients, added series, hostile input, kill -9 (four hours)"
	@echo "make audit   licences and known vulnerabilities of the lock file (asks osv.dev), and whether the pinned images exist"
	@echo "make image   builds the image of the Dockerfile and assesses a synthetic patient in it (buildah, as root)"
	@echo "make docs    docs/settings.md, docs/conformance.md and docs/ihe.md, from the source"
	@echo "make setup   only the Python environment (.venv) from the lock file"
	@echo "make clean   remove what the chores above made, except the state of a node"

setup: $(READY)

$(READY): pyproject.toml uv.lock scripts/setup.sh scripts/downloads.sh
	@scripts/setup.sh
	@touch $@

peers:
	@scripts/test-peers.sh

demo: $(READY)
	@$(PYTHON) -m scripts.demo $(if $(STAY),--stay)

serve: $(READY)
	@.venv/bin/icansee serve

# Five processes for two cores: many tests wait for a server, a browser, a lease or another process. The longest files
# begin first (tests/conftest.py).
test: $(READY) peers
	@$(PYTHON) -m pytest -n 5 --dist loadfile --no-loadscope-reorder --durations 15

N ?= 10
repeat: $(READY) peers
	@$(PYTHON) -m scripts.repeat --runs $(N)

lint: $(READY)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports --no-cache

types: $(READY)
	.venv/bin/mypy

check: lint types test

bench: $(READY)
	@for name in accuracy accuracy.engines ingest real_pairs time_to_flag; do \
		echo "== bench.$$name"; $(PYTHON) -m bench.$$name || exit; done

# Each round draws other examples. ROUNDS, MINUTES, KILLS and COMBINATIONS make it shorter or longer.
nightly: $(READY) peers
	@for round in $$(seq $(ROUNDS)); do \
		$(PYTHON) -m pytest -q -m hypothesis --hypothesis-profile nightly || exit; done
	$(PYTHON) -m bench.combinations --count $(COMBINATIONS) --seed $$(date +%s)
	$(PYTHON) -m bench.ingest.fuzz --minutes $(MINUTES)
	$(PYTHON) -m bench.node.kill_random --kills $(KILLS) --seed $$(date +%s)

# 1: something was found; 3: nobody could be asked about vulnerabilities, or about images
audit: $(READY)
	@$(PYTHON) -m scripts.audit_images; images=$$?; $(PYTHON) -m scripts.audit_dependencies; packages=$$?; \
	if [ $$images = 1 ] || [ $$packages = 0 ]; then exit $$images; else exit $$packages; fi

image:
	@scripts/image-check.sh

docs: $(READY)
	@$(PYTHON) -m scripts.settings_reference
	@$(PYTHON) -m scripts.conformance

clean:
	rm -rf .venv .venv-bootstrap .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo build dist bench/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
