# SPDX-License-Identifier: MIT
# `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo test unit e2e surfaces soak bench docs image screenshots examples alerts series external-dns audit lint fmt lock clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AUDIT := $(VENV)/audit
LAB := $(BIN)/python -m lab run
# From the chart's kubeVersion to the one before the lab's own.
OLDER := 1.34 1.35 1.36
# These install what the lab's product has installed already.
ALONE := tests/e2e/test_admission.py tests/e2e/test_chart.py
# These break the lab, and one takes away what the others need.
FAULTS_MATRIX := tests/e2e/faults
RELEASE := tests/e2e/test_chart_release.py
SOURCES := app cli contract speaker lab bench chart image tools docs tests

SCENARIOS := failover handover share spread calm noise idle answers announce growth scale expiry

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## build what is missing and tell the main job in the lab, without root
	@$(BIN)/python -m lab run --nodes 5 -- $(BIN)/python -m lab.demo $(DEMO_ARGS)

test: lint unit image e2e  ## everything that must pass before a commit lands

unit: $(READY)  ## unit and hook tests: no cluster, no network
	@$(BIN)/python -m pytest

e2e: $(READY)  ## end-to-end tests in four labs: make e2e LAB_ARGS="--emulated-version 1.34"
	@$(LAB) --no-product --nodes 1 $(LAB_ARGS) -- $(BIN)/python -m pytest $(ALONE)
	@$(LAB) --nodes 5 $(LAB_ARGS) -- $(BIN)/python -m pytest tests/e2e $(patsubst %,--ignore=%,$(ALONE) $(FAULTS_MATRIX) $(RELEASE))
	@$(LAB) --nodes 5 $(LAB_ARGS) -- $(BIN)/python -m pytest $(FAULTS_MATRIX)
	@$(LAB) --nodes 4 $(LAB_ARGS) -- $(BIN)/python -m pytest $(RELEASE)

surfaces: $(READY)  ## the chart and its policies against the API of each older Kubernetes that is supported
	@for version in $(OLDER); do \
	  $(LAB) --no-product --nodes 1 --emulated-version $$version -- $(BIN)/python -m pytest $(ALONE) || exit 1; \
	done

soak: $(READY)  ## hours of speakers in virtual time, every fault, then half an hour of random ones
	@$(BIN)/python -m tests.simulator trouble --runs 500
	@$(BIN)/python -m tests.simulator trouble --runs 500 --loss 0.05 --rough
	@$(BIN)/python -m tests.simulator trouble --runs 200 --segments 2
	@$(BIN)/python -m tests.simulator losses --hours 1 --loss 0.05
	@$(BIN)/python -m tests.simulator losses --hours 1 --loss 0.2
	@$(BIN)/python -m tests.simulator losses --size 2 --hours 4 --loss 0.05 --deaths-an-hour 0.5
	@$(BIN)/python -m tests.simulator losses --size 2 --hours 4 --loss 0.2 --deaths-an-hour 20
	@failed=; \
	FAULTS=all $(LAB) --nodes 5 -- $(BIN)/python -m pytest $(FAULTS_MATRIX) || failed="$$failed faults"; \
	$(LAB) --nodes 5 -- $(BIN)/python -m tests.e2e.soak $(SOAK_ARGS) || failed="$$failed soak"; \
	$(BIN)/python -m tests.e2e.faults.report; \
	if [ -n "$$failed" ]; then echo "not as it should be:$$failed"; exit 1; fi

docs: $(READY)  ## build the documentation as a site, strictly, into dist/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open dist/site/index.html"

image: $(READY)  ## what the images would hold, built without an engine: it starts and answers
	@$(BIN)/python -m pytest tests/image

screenshots: $(READY)  ## take the pictures of docs/images/ anew in the lab
	@$(BIN)/python -m lab run --nodes 5 -- $(BIN)/python -m tools.page

examples: $(READY)  ## record examples/hooks/ anew in the lab
	@$(BIN)/python -m lab run --nodes 5 -- $(BIN)/python -m lab.record

bench: $(READY)  ## measure all, MetalLB and keepalived too, for two hours, into docs/benchmarks.md
	@$(BIN)/python -m bench.rivals.metallb || echo "MetalLB will be missing from the tables"
	@failed=; \
	forget() { rm -f docs/benchmarks/$$1.json; }; \
	measure() { \
	  forget $$1; \
	  $(BIN)/python -m lab run $$2 -- \
	    $(BIN)/python -m bench $$3 --json docs/benchmarks/$$1.json $(BENCH_ARGS) || failed="$$failed $$1"; \
	}; \
	for name in $(SCENARIOS); do measure $$name "--nodes 6" $$name; done; \
	measure announce-off "--nodes 6 --set speaker.probe=off" announce; \
	for nodes in 16 31; do measure idle-$$((nodes - 1)) "--nodes $$nodes" "idle --only l2"; done; \
	for name in hooks placement protocol; do \
	  forget $$name; \
	  $(BIN)/python -m bench $$name --json docs/benchmarks/$$name.json || failed="$$failed $$name"; \
	done; \
	$(BIN)/python -m bench results; \
	$(BIN)/python -m bench scaling --idle docs/benchmarks/idle*.json || failed="$$failed scaling"; \
	if [ -n "$$failed" ]; then echo "not measured:$$failed"; exit 1; fi

alerts: $(READY)  ## the alerts over recorded series, by promtool, which is built once
	@$(BIN)/python -m tools.programs promtool
	@$(BIN)/python -m pytest tests/unit/monitoring

series: $(READY)  ## record in the lab the series that the alerts are judged by
	@$(LAB) --nodes 4 -- $(BIN)/python -m tools.series $(SCENES)

external-dns: $(READY)  ## external-dns, built once, and a real DNS server: what becomes of the records
	@command -v knotd >/dev/null && command -v kdig >/dev/null || { echo "knotd or kdig is missing: install knot and knot-dnsutils (Debian, Ubuntu)"; exit 1; }
	@$(BIN)/python -m tools.programs external-dns
	@$(LAB) --nodes 5 $(LAB_ARGS) -- $(BIN)/python -m pytest tests/e2e/test_external_dns.py

audit: $(AUDIT)/.ready  ## known vulnerabilities of pinned packages; what is risky in the workflows
	@$(AUDIT)/bin/python -m tools.audit
	@$(AUDIT)/bin/zizmor --quiet --offline .github

lint: $(READY)  ## ruff, mypy strict, import linter, hadolint
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/hadolint Dockerfile

fmt: $(READY)  ## format and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(READY)  ## pin the dependencies of pyproject.toml again, with hashes
	@for extra in webhook speaker dev audit; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --extra $$extra --upgrade \
	    --output-file requirements/$$extra.txt pyproject.toml || exit 1; \
	done
	@echo "hatchling>=1.27" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --upgrade --output-file image/build.txt -

clean:  ## remove the virtual environment and caches of this checkout
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# One virtual environment for everything that runs from the checkout; hashes are required.
$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11: install a newer one, or name it: make PYTHON=python3.12"; exit 1; }
	@echo "installing Python packages into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "$(PYTHON) cannot make a virtual environment: install python3-venv (Debian, Ubuntu)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Apart from the others, so that what audits them need not agree with them.
$(AUDIT)/.ready: requirements/audit.txt $(READY)
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
