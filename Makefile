# Every target sets up what it needs: a Python 3.11+ with venv is all that has to be there.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STAY ?=
ARGS ?=
MUTANTS ?=
CHAOS ?=
STORY ?=
RELEASE ?=
# Tests run side by side, see tests/support/lanes.py; what one lane compiles the others need not.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses auto
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' extender/__init__.py)

.DEFAULT_GOAL := help
.PHONY: help venv controlplane tools demo run test pytest test-fast test-nightly compat lint types layers format chaos story mutants bench manifests dashboards reference release audit constraints llms proto images image kind-up kind-down clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# uv takes a third of the time of pip, and pip knows of what is set for it alone, such as another index.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "spotmix needs Python 3.11 or newer; choose one with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing spotmix and its tools into .venv" >&2
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r constraints.txt || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-build-isolation -e '.[dev]'
	@touch $@

venv: $(READY) ## set up the environment in .venv

controlplane: $(READY) ## find or build etcd and the Kubernetes binaries; the last line is their folder
	@$(BIN)/spotmix sandbox assets

tools: $(READY) ## get what tests use beside Python: helm, kubectl, readers and stand-ins of Kubernetes' own code, Karpenter, Prometheus, Chromium
	@PYTHONPATH=tools $(BIN)/python -m programs

demo: $(READY) ## a minute of Spotmix on a real control plane; STAY=1 keeps it up
	@$(BIN)/spotmix sandbox demo $(if $(STAY),--stay)

run: $(READY) ## serve the cluster of the current kubeconfig until Ctrl-C; ARGS has flags, such as --drift-read-only=true
	@$(BIN)/spotmix serve $(ARGS)

lint: $(READY) ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# What mypy finds out takes a minute of a processor and is kept beside the control plane, so that a clean clone has it too.
types: $(READY) ## mypy, strict
	@MYPY_CACHE_DIR=$${MYPY_CACHE_DIR:-$${XDG_CACHE_HOME:-$$HOME/.cache}/spotmix/mypy} $(BIN)/mypy

layers: $(READY) ## who may import whom
	@$(BIN)/lint-imports

format: $(READY) ## let ruff put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test-fast: lint types layers ## all that needs no control plane
	@$(PYTEST) -m 'not controlplane and not tools'

# Without its cache mypy takes one processor a minute, so types are checked beside the tests.
test: lint layers controlplane tools ## everything, on a real control plane too
	@$(MAKE) --no-print-directory --jobs=2 types pytest

pytest: $(READY)
	@$(PYTEST)

COMPAT = 1.33 1.37
# What talks to the scheduler, webhooks, evictions, Leases, gates and definitions of kinds.
COMPAT_TESTS = $(addprefix tests/integration/,kube placement webhook drift policyobjects)

compat: $(READY) ## run what talks to Kubernetes on its oldest and its newest version, or on any: COMPAT="1.34"
	@for version in $(COMPAT); do \
	  echo "Kubernetes $$version"; \
	  $(BIN)/spotmix sandbox assets --kubernetes $$version && \
	  SPOTMIX_SANDBOX_KUBERNETES=$$version $(PYTEST) $(COMPAT_TESTS) || exit 1; \
	done

test-nightly: $(READY) ## what test-fast runs, its properties with twenty times as many examples
	@$(PYTEST) -m 'not controlplane and not tools' --hypothesis-profile nightly --timeout 3600

chaos: controlplane ## play faults on a real control plane for 15 minutes; CHAOS=--help says more
	@PYTHONPATH=tests:tools $(BIN)/python -m chaos $(CHAOS)

story: controlplane tools ## tell a story of workloads on real Karpenter three times, and measure; STORY=--help says more
	@PYTHONPATH=tests:tools $(BIN)/python -m story $(STORY)

mutants: $(READY) ## does a unit test fail when the core is wrong? minutes; MUTANTS=--help says more
	@PYTHONPATH=tools $(BIN)/python -m mutants $(MUTANTS)

bench: $(READY) ## speed and memory, against Go and the bare scheduler
	@$(BIN)/python tests/bench/run.py

manifests: $(READY) ## write deploy/manifests, deploy/schemas and the chart's README anew from the chart
	@PYTHONPATH=tools $(BIN)/python -m generate.manifests
	@PYTHONPATH=tools $(BIN)/python -m generate.schemas

dashboards: $(READY) ## write deploy/grafana and the chart's copies of dashboards and rules anew
	@PYTHONPATH=tools $(BIN)/python -m monitoring

constraints: $(READY) ## write versions and hashes of what is installed anew from pyproject.toml; ARGS=--upgrade takes the newest
	@PYTHONPATH=tools $(BIN)/python -m generate.constraints $(ARGS)

llms: $(READY) ## write docs/llms.txt anew from docs/README.md
	@PYTHONPATH=tools $(BIN)/python -m generate.llms

reference: $(READY) ## write the pages of docs/reference anew that are made from the code
	@PYTHONPATH=tools $(BIN)/python -m generate.reference

release: $(READY) ## make wheel, sdist, chart archive, bill of materials, provenance and checksums in dist/; RELEASE=--help says more
	@PYTHONPATH=tools $(BIN)/python -m release $(RELEASE)

audit: $(READY) ## ask for known vulnerabilities of what requirements.txt pins; needs the package index's own data
	@$(BIN)/uv tool run pip-audit --requirement requirements.txt --require-hashes --disable-pip

proto: $(READY) ## write the stubs of the gRPC API anew from proto/
	@PYTHONPATH=tools $(BIN)/python -m generate.stubs

images: ## build them for amd64 and arm64; needs docker buildx; ARGS has its flags, such as --push
	VERSION=$(VERSION) REVISION=$$(git rev-parse HEAD) CREATED=$$(git log -1 --format=%cI) \
		docker buildx bake --file deploy/docker/bake.json $(ARGS)

image: ## build the container image spotmix:VERSION; needs docker
	docker build -f deploy/docker/Dockerfile -t spotmix:$(VERSION) .

kind-up: image ## a cluster in containers, Spotmix attached to its default scheduler; needs docker, kind, kubectl and helm
	kind create cluster --config kind-config.yaml
	kind load docker-image --name spotmix spotmix:$(VERSION)
	helm upgrade --install spotmix deploy/helm/spotmix --namespace spotmix-system --create-namespace \
		--kube-context kind-spotmix --values deploy/kind/values.yaml --wait --timeout 5m
	kubectl --context kind-spotmix get nodes -L karpenter.sh/capacity-type,topology.kubernetes.io/zone

kind-down: ## remove that cluster
	kind delete cluster --name spotmix

clean: ## remove the environment and build folders (the control plane's cache stays)
	rm -rf .venv tests/bench/.build .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks dist
