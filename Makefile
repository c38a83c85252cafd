# The project's front door; the work is in scripts/, cargo and tests/.
# A target's line after ## is its help text.

.DEFAULT_GOAL := help
.PHONY: help setup build wasm gen test fuzz lint fmt counters demo up down bench bench-floor bench-translate \
	image-test

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Check the tools and install Envoy and cargo-deny into .cache/
	@scripts/check-tools.sh --lint
	@scripts/setup-envoy.sh
	@scripts/setup-cargo-deny.sh

build: wasm ## Build the release binary with the filter in it
	cargo build --release --package meseta

wasm: ## Build the filter, unless it is up to date
	cargo xtask wasm

gen: ## Write the pages of docs/reference that follow from code
	cargo xtask gen

counters: ## Write bench/counters.tsv, what the codecs cost in instructions and allocations
	cargo xtask counters

test: ## Run every check: lints, unit and property tests, fuzzing for seconds, end to end
	@scripts/test.sh

fuzz: ## Fuzz each parser for ten minutes, or for FUZZ_SECONDS
	@scripts/fuzz.sh

lint: ## Run the lints alone: format, dependencies, clippy for server and filter
	@scripts/test.sh lint

fmt: ## Format the code
	cargo fmt --all

demo: ## Show real clients talking to a real model, then clean up
	@scripts/demo.sh

up: ## Start what the demo shows and leave it running
	@scripts/demo.sh --keep

down: ## Stop what `make up` left running
	@scripts/demo.sh --stop

floor = cargo run --release --package meseta-bench -- floor \
	--envoy "$${MESETA_ENVOY:-$$(scripts/setup-envoy.sh)}" --meseta "$${CARGO_TARGET_DIR:-target}/release/meseta"

bench: build ## Measure us, relays included, against Envoy alone and a no-op ext_proc server
	$(floor)

bench-floor: build ## Measure the direct way alone against these
	$(floor) --cells A,B,C

bench-translate: ## Measure reading, editing and translating, case by case
	cargo bench --package meseta-bench-codecs

image-test: ## Build the image's steps in a Debian root and run the result (needs root)
	@scripts/image-test.sh
