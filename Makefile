# The two commands a newcomer needs are `make demo` and `make test`; `make help` lists all of them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-training deb test-deb fmt doc bench leaks fuzz deny clean test-kills faults attack

# The clip that `make demo` redacts: CLIP=path/to/your/video.mp4
CLIP ?= $(firstword $(wildcard fixtures/street-day.mp4 ../shared/clips/asl_book.mkv))
# Seconds that `make fuzz` spends on each target.
FUZZ_SECONDS ?= 60
# Faults that `make faults` injects, and which.
FAULTS ?= 500
FAULT_SEED ?= 1

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 20

setup: ## Install what is missing: system packages, ONNX Runtime (idempotent)
	@packaging/setup.sh

build: setup ## Build the program and the GStreamer plugin, optimised
	@cargo build --release --locked

demo: ## Redact a clip (CLIP=...) into target/demo and say what happened
	@packaging/demo.sh "$(CLIP)"

test: ## Format, lints, all tests, documentation
	@packaging/test.sh

test-training: ## Train for a minute on drawn pictures (fetches PyTorch)
	@packaging/test-training.sh

deb: ## Make the Debian package in target/debian
	@packaging/deb.sh

test-deb: deb ## Install the Debian package in a clean Debian 12 and run `floutage doctor` there (as root)
	@packaging/test-deb.sh

deny: ## Check licences, sources and bans of all dependencies (installs cargo-deny if missing)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@cargo deny --config packaging/deny.toml check licenses bans sources
	@echo "deny: advisories were not checked; with network: cargo deny --config packaging/deny.toml check advisories"

test-kills: setup ## Kill a batch of 50 clips a hundred times
	@FLOUTAGE_KILLS=100 FLOUTAGE_KILL_CLIPS=50 cargo test --locked --test batch_kill -- --nocapture

fmt: ## Format the code
	@cargo fmt

doc: setup ## Build the library's documentation
	@cargo doc --no-deps --lib --locked

bench: setup ## Run the micro-benchmarks
	@cargo bench --locked

leaks: build ## Print the README's table of what leaks on the rendered clips
	@packaging/leaks.py target/release/floutage

attack: build ## Attack the redaction of the rendered people and plates, and print what came of it
	@target/release/floutage attack --markdown --check \
	    $(foreach clip,street-day street-night entrance parking,--clip fixtures/$(clip).mp4 --truth fixtures/$(clip).csv)

fuzz: setup ## Fuzz each target for FUZZ_SECONDS (needs cargo-fuzz)
	@packaging/fuzz.sh "$(FUZZ_SECONDS)"

faults: setup ## Inject FAULTS faults over files, of the seed FAULT_SEED
	@FLOUTAGE_FAULTS=$(FAULTS) FLOUTAGE_FAULT_SEED=$(FAULT_SEED) cargo test --locked --test faults

clean: ## Remove everything that was built here
	@cargo clean
	@rm -rf tests/fuzz/target
