# Everything one does with this project. `make help` lists it; every target sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ses-smtp-operator
JOBS ?= $(shell nproc)

BUILD_PACKAGES := g++ cmake ninja-build ccache libcpprest-dev libcurl4-openssl-dev nlohmann-json3-dev libyaml-cpp-dev libssl-dev \
                  libspdlog-dev libcli11-dev libboost-dev prometheus-cpp-dev
SHIPPED_PACKAGES := dpkg-dev ca-certificates python3
CLUSTER_PACKAGES := openssl
PARSER_PACKAGES := curl nodejs zsh
IMAGE_PACKAGES := buildah debootstrap dpkg-dev
NODE_PACKAGES := buildah gcc libc6-dev containerd runc containernetworking-plugins iproute2 iptables
CONSUMER_PACKAGES := maven openjdk-17-jdk-headless python3-venv
OBSERVABILITY_PACKAGES := prometheus
TEST_PACKAGES := libgtest-dev libgmock-dev openssl python3-venv
FUZZ_PACKAGES := clang-19 libclang-rt-19-dev
LINT_PACKAGES := clang-19 clang-format-19 shellcheck yamllint python3-venv

PYTHON := $(CACHE)/python-$(shell sha256sum tests/cluster/requirements.txt | cut -c1-12)

##@ Use

.PHONY: help
help: ## Say what the targets do
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(if $(filter current,$(CLUSTER)),,cluster-tools) build ## Show the main job on a control plane of its own (KEEP=1 leaves it up, CLUSTER=current uses yours)
	@tools/demo

.PHONY: build
build: build-packages ## Build the program: build/release/bin/ses-smtp
	@tools/build release

.PHONY: shipped
shipped: build-packages shipped-packages test-packages ## Build it as it is shipped, all static but glibc: build/shipped/bin/ses-smtp
	@tools/build shipped ses-smtp

##@ Develop

# What is shipped is what is tested.
test test-cluster test-docs test-faults test-memory test-observability bench interleavings soak: export SESSMTP_BIN := build/shipped/bin/ses-smtp

.PHONY: test
test: build-packages shipped-packages test-packages parser-packages observability-packages cluster-tools packaging-tools shipped $(PYTHON) ## Run all suites that need no root
	@tools/build shipped contract_transport contract_login
	@tools/build asan-ubsan
	@tools/build tsan unit_kube unit_operator unit_server
	@$(PYTHON)/bin/python tools/run-tests --target test

.PHONY: test-unit
test-unit: build-packages test-packages $(PYTHON) ## Run the unit and the contract tests (no cluster)
	@tools/build dev
	@python3 tools/run-tests unit contract

.PHONY: test-cluster
test-cluster: cluster-tools parser-packages shipped $(PYTHON) ## Run the tests against a real API server
	@$(PYTHON)/bin/python tools/run-tests cluster

.PHONY: test-chart
test-chart: packaging-tools cluster-tools test-packages $(PYTHON) ## Check the Helm chart and deploy/: rendered objects, schemas, a real install
	@$(PYTHON)/bin/python tools/run-tests chart

.PHONY: test-docs
test-docs: packaging-tools cluster-tools shipped $(PYTHON) ## Check the documentation: links, examples, flags, values, policies
	@$(PYTHON)/bin/python tools/run-tests docs

.PHONY: test-observability
test-observability: packaging-tools cluster-tools shipped observability-packages $(PYTHON) ## Check alerts and dashboard with a real Prometheus
	@$(PYTHON)/bin/python tools/run-tests observability

.PHONY: e2e needs-root
needs-root:
	@[[ $$EUID == 0 ]] || { echo "this needs root: it runs containers, in namespaces of its own" >&2; exit 1; }
e2e: needs-root image packaging-tools node-tools consumer-packages test-packages $(PYTHON) ## Check the image, install the chart on a node of this machine, send mail from pods (needs root)
	@$(PYTHON)/bin/python tools/run-tests --target e2e

.PHONY: test-image
test-image: needs-root image test-packages $(PYTHON) ## Check the container image alone: what is in it, and that it runs (needs root)
	@$(PYTHON)/bin/python tools/run-tests image

.PHONY: test-faults
test-faults: cluster-tools shipped $(PYTHON) ## Break an API server, its etcd and the way to it, and print how long it takes to recover
	@$(PYTHON)/bin/python -m pytest -q --no-header -s -p no:cacheprovider tests/cluster/test_faults.py

.PHONY: test-memory
test-memory: cluster-tools shipped $(PYTHON) ## Print what 10000 Secrets of others cost in memory
	@FOREIGN=10000 $(PYTHON)/bin/python -m pytest -q --no-header -s -p no:cacheprovider tests/cluster/test_memory.py

.PHONY: bench
bench: cluster-tools shipped $(PYTHON) ## Measure it beside two reference controllers, 40 minutes (CREDENTIALS=1000 RUNS=5 IDLE=10 …: docs/benchmarks.md)
	@$(PYTHON)/bin/python tests/bench/bench.py $(if $(CREDENTIALS),--credentials $(CREDENTIALS)) $(if $(RUNS),--runs $(RUNS)) \
	  $(if $(IDLE),--idle-minutes $(IDLE)) $(if $(FOREIGN),--foreign $(FOREIGN)) $(if $(LARGE),--large $(LARGE)) \
	  $(if $(CONTROLLERS),--controllers "$(CONTROLLERS)") $(if $(ONLY),--only "$(ONLY)") $(if $(RESUME),--resume) $(if $(OUTPUT),--output $(OUTPUT))

.PHONY: fuzz
fuzz: build-packages fuzz-packages ## Feed all that comes from outside with what a fuzzer thinks of, SECONDS=60 for each target
	@tools/build fuzz
	@tools/fuzz --seconds $(or $(SECONDS),60) --jobs $(JOBS)

.PHONY: interleavings
interleavings: cluster-tools shipped $(PYTHON) ## Let people and faults act at random for SECONDS=300 (SEED=N: in the order of that seed)
	@SECONDS=$(or $(SECONDS),300) $(PYTHON)/bin/python -m pytest -q --no-header -s -p no:cacheprovider tests/cluster/test_interleavings.py

.PHONY: soak
soak: cluster-tools shipped $(PYTHON) ## Rotate with faults mixed in for MINUTES=30, look for what is lost or leaks: build/soak
	@PYTHONPATH=tests/fake_ses $(PYTHON)/bin/python tests/cluster/soak.py --minutes $(or $(MINUTES),30)

##@ Ship

.PHONY: image
image: image-packages ## Build the container image, without a registry: build/image
	@tools/image

.PHONY: chart
chart: packaging-tools ## Make again what is generated from the chart: its CRDs and README, deploy/install.yaml
	@tools/chart

.PHONY: docs
docs: test-packages ## Build the documentation site: build/docs
	@tools/docs

.PHONY: release
release: image packaging-tools ## Build all that is published, with checksums: build/release-assets
	@tools/release

##@ Check

.PHONY: lint
lint: build-packages test-packages lint-packages packaging-tools $(PYTHON) ## Check formatting and run clang-tidy, shellcheck, yamllint, actionlint and ruff
	@tools/lint

.PHONY: format
format: lint-packages $(PYTHON) ## Format all C++ and Python sources
	@git ls-files '*.cpp' '*.h' | xargs clang-format-19 -i
	@$(PYTHON)/bin/ruff format --quiet .

.PHONY: clean
clean: ## Remove what was built here (the cache folder stays: make clean-cache)
	@rm -rf build

.PHONY: clean-cache
clean-cache: ## Remove what is kept for this user: programs, Python packages, image layers, schemas (Go keeps its own)
	@tools/local-cluster down --all
	@umount $(CACHE)/image/storage/overlay 2>/dev/null || true
	@rm -rf $(CACHE)

##@ Set up (the targets above do it by themselves)

.PHONY: build-packages
build-packages: ## Install the Debian packages that the build needs
	@tools/install-packages --for cmake,ninja $(BUILD_PACKAGES)

.PHONY: shipped-packages
shipped-packages: ## Install the Debian packages that the shipped build needs besides
	@tools/install-packages $(SHIPPED_PACKAGES)

.PHONY: test-packages
test-packages: ## Install the Debian packages that the tests need
	@tools/install-packages $(TEST_PACKAGES)

.PHONY: parser-packages
parser-packages: ## Install what reads our output back in tests: curl and Node.js templates of a target, zsh completions
	@tools/install-packages --for curl,node,zsh $(PARSER_PACKAGES)

.PHONY: fuzz-packages
fuzz-packages: ## Install clang with libFuzzer
	@tools/install-packages $(FUZZ_PACKAGES)

.PHONY: lint-packages
lint-packages: ## Install the Debian packages that the checks need
	@tools/install-packages --for clang++-19,clang-format-19,shellcheck,yamllint $(LINT_PACKAGES)

.PHONY: image-packages
image-packages: ## Install the Debian packages that the image build needs
	@tools/install-packages --for buildah,debootstrap $(IMAGE_PACKAGES)

.PHONY: consumer-packages
consumer-packages: ## Install what the programs of docs/consumers are built with
	@tools/install-packages --for mvn,keytool $(CONSUMER_PACKAGES)
	@command -v npm >/dev/null || tools/install-packages npm # another Node.js than Debian's may have brought one

.PHONY: observability-packages
observability-packages: ## Install Prometheus, for the tests of alerts and dashboard
	@tools/install-packages --for prometheus,promtool $(OBSERVABILITY_PACKAGES)

.PHONY: packaging-tools
packaging-tools: ## Build helm, helm-docs, kubeconform and actionlint (once per machine)
	@tools/program helm helm-docs kubeconform actionlint >/dev/null

.PHONY: node-tools
node-tools: cluster-tools ## Build and install what a cluster with a node needs (once per machine)
	@tools/install-packages --for buildah,gcc,containerd,runc,ip,iptables $(NODE_PACKAGES)
	@tools/program kube-scheduler kubelet kube-proxy >/dev/null

.PHONY: cluster-tools
cluster-tools: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl (once per machine)
	@tools/install-packages --for openssl $(CLUSTER_PACKAGES)
	@tools/local-cluster build >/dev/null

$(PYTHON): | test-packages
	@echo "installing the Python packages of tests/cluster, about 20 seconds" >&2
	@rm -rf $@.new && mkdir -p $(CACHE)
	@python3 -m venv $@.new
	@$@.new/bin/python -m pip install --quiet --disable-pip-version-check -r tests/cluster/requirements.txt
	@rm -rf $@ && mv $@.new $@
