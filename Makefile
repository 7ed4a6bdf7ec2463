# What a developer types. `make help` lists it; everything else is in Cargo.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test test-e2e demo bench fmt generate tools clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the operator (debug)
	$(CARGO) build

test: ## Check the formatting, lint, and run every test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace

test-e2e: ## Run the end-to-end tests; CODER_E2E_URL and CODER_E2E_TOKEN point them at a real Coder
	$(CARGO) test --test e2e

demo: ## See the operator at work; CODER_URL and CODER_TOKEN use a real Coder, which is only read unless WRITE=1
	$(CARGO) build --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}/debug/coder-operator-demo"

bench: ## Measure time, memory and calls; SIZES=100,1000 is quicker, OUT=docs draws the picture of docs/performance.md
	$(CARGO) build --release -p coder-operator -p coder-operator-bench
	@"$${CARGO_TARGET_DIR:-target}/release/coder-operator-bench"

fmt: ## Format the code
	$(CARGO) fmt --all

generate: ## Write the files that are generated from the code (tests/generated lists them)
	CODER_OPERATOR_GENERATE=1 $(CARGO) test -q --test generated

tools: ## Build the servers of Kubernetes for the tests; the tests do it themselves if need be
	$(CARGO) run -q -p test-ground --bin ground -- build

clean: ## Remove what Cargo built; the tools stay in their cache
	$(CARGO) clean
