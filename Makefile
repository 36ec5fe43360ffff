# Every command of the house. Each stands alone on a fresh Debian machine with Rust and Node.
#
# `demo` and `test` share one profile (dev) and one set of features: a newcomer builds once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where the demo keeps its city; delete the folder to start anew.
DATA ?= city-data

.PHONY: help setup web build demo test tidy test-web test-rust test-whole bench fuzz fmt fmt-check lint

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what the tests need, saying what
	scripts/setup build test

web: ## the web UI, which the program carries inside
	scripts/web

build: web ## the shujin program, with the profile that the tests use
	scripts/setup build
	$(CARGO) build -p shujin --locked

# With CITY_DATA in the environment, or `make demo CITY_DATA=…`, the real files of that folder are
# taken in: the program reads the variable itself.
demo: build ## make a demonstration city and serve it
	"$(TARGET)/debug/shujin" demo --data "$(DATA)"

test: tidy test-web test-rust test-whole ## everything that must hold

tidy: ## the shape of the source tree
	scripts/setup build
	$(CARGO) test --locked -p tests --test tidy

test-web: ## the web UI's layout, types and units
	scripts/web
	cd web && npm run --silent lint && npm run --silent check && npm test

test-rust: ## unit and integration tests of every crate
	scripts/setup build test
	$(CARGO) test --workspace --lib --bins --tests --locked

test-whole: ## the program as its users meet it: command line, psql, Python, HTTP, the web UI
	scripts/setup build test browser
	scripts/web
	$(CARGO) build -p shujin --locked
	SHUJIN="$(TARGET)/debug/shujin" "$(TARGET)/venv/bin/python" -m pytest -n 2 --dist loadfile tests/whole

bench: ## the headline figures beside their peers; a release build comes first
	scripts/setup build test bench
	$(CARGO) build --release --locked -p shujin
	$(CARGO) run --release --locked -p bench -- all

fuzz: ## ten minutes of arbitrary input to each reader: CSV, the log, SensorThings, MQTT, SQL
	scripts/fuzz

fmt: ## lay out the source
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

lint: fmt-check ## clippy, and cargo-deny where it is installed
	$(CARGO) test --locked -p tests --test tidy -- --include-ignored
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	scripts/deny
