# arraystore: `make demo` and `make test` set up everything that they need. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The tools of .venv (maturin, cmake) come first, what bootstrap.sh unpacked last.
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(HOME)/.cargo/bin:$(CURDIR)/.build/tools/usr/bin
# As maturin has it: the extension does not link libpython, which many a Python does not have.
export PYO3_BUILD_EXTENSION_MODULE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONHOME PYTHONPATH

PIP := .venv/bin/python -m pip install --quiet --progress-bar off
STAMPS := .venv/.stamps
RUST := Cargo.toml Cargo.lock $(shell find rust -name target -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)
SAY := @printf '\033[1m==>\033[0m %s\n'

# Removed by hand, or never made: build it whatever the stamp says.
ifeq ($(wildcard arraystore/_core*.so),)
.PHONY: $(STAMPS)/extension
endif

##  make demo [SRC=folder-or-zip]   a store from a small package (or yours), its speeds, and demo.png
.PHONY: demo
demo: build
	.venv/bin/arraystore demo $(if $(SRC),"$(SRC)")

##  make test                       every check that CI runs
.PHONY: test
test: lint test-rust test-python

##  make build                      .venv with arraystore in it, compiled for speed
.PHONY: build
build: $(STAMPS)/extension

##  make lint                       format, lints and types, of Rust and Python
.PHONY: lint
lint: $(STAMPS)/test $(STAMPS)/extension
	$(SAY) "rustfmt"
	@cargo fmt --all --check
	$(SAY) "clippy"
	@cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	$(SAY) "rustdoc"
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps --package arraystore-core --package arraystore-jpeg
	$(SAY) "ruff check"
	@ruff check --quiet
	$(SAY) "ruff format"
	@ruff format --check --quiet || { echo "run: make format" >&2; exit 1; }
	$(SAY) "mypy --strict"
	@mypy
	$(SAY) "stubtest arraystore._core"
	@python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist scripts/stubtest-allowlist.txt --ignore-unused-allowlist arraystore._core

##  make test-rust                  tests and documentation examples of the core
.PHONY: test-rust
test-rust: $(STAMPS)/base
	$(SAY) "cargo test"
	@cargo test --locked --package arraystore-core --package arraystore-jpeg --quiet

##  make test-python [ARGS=...]     tests, docstrings, README and docs; ARGS go to pytest
.PHONY: test-python
test-python: $(STAMPS)/test $(STAMPS)/extension
	$(SAY) "pytest"
	@python -m pytest $(ARGS)

##  make format                     rewrite the sources as `make lint` wants them
.PHONY: format
format: $(STAMPS)/test
	cargo fmt --all
	ruff check --fix --quiet
	ruff format --quiet

##  make bench                      benches/README.md says what, and how to read it
.PHONY: bench
bench: $(STAMPS)/bench $(STAMPS)/extension
	cargo bench --locked --package arraystore-core
	python benches/decode.py $(ARGS)
	python benches/access.py $(ARGS)
	python benches/loaders.py $(ARGS)
	python benches/patches.py

##  make lock                       write requirements-dev.lock anew (see CONTRIBUTING.md)
.PHONY: lock
lock:
	scripts/lock.sh

##  make clean                      everything that make made
.PHONY: clean
clean:
	rm -rf .venv .build target demo-source demo.zarr demo.png arraystore/_core*.so
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

.PHONY: help
help:
	@sed -n 's/^##//p' Makefile

# ---- what the above need; each is done once, until the files that it depends on change ----

.build/tools.stamp: scripts/bootstrap.sh
	@scripts/bootstrap.sh tools
	@touch $@

$(STAMPS)/venv: scripts/bootstrap.sh | .build/tools.stamp
	@scripts/bootstrap.sh venv
	@mkdir -p $(@D) && touch $@

$(STAMPS)/base: $(STAMPS)/venv pyproject.toml requirements-dev.lock scripts/requirements.py
	$(SAY) "installing what arraystore needs into .venv"
	@.venv/bin/python scripts/requirements.py build demo >.build/base.txt
	@$(PIP) --constraint requirements-dev.lock --requirement .build/base.txt
	@touch $@

$(STAMPS)/test: $(STAMPS)/base requirements-dev.lock
	$(SAY) "installing what the tests need into .venv"
	@$(PIP) --requirement requirements-dev.lock
	@touch $@

$(STAMPS)/bench: $(STAMPS)/test pyproject.toml
	$(SAY) "installing what the benches compare with into .venv"
	@.venv/bin/python scripts/requirements.py bench >.build/bench.txt
	@$(PIP) --constraint requirements-dev.lock --requirement .build/bench.txt
	@touch $@

$(STAMPS)/extension: $(STAMPS)/base pyproject.toml $(RUST)
	$(SAY) "compiling arraystore (libjpeg-turbo too, at first: about a minute)"
	@PIP_QUIET=1 maturin develop --release --locked --quiet
	@touch $@
