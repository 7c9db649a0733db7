# What a person types; the build itself is meson's. `make help` lists it.
BUILD   ?= build
TYPE    ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
MESON_FLAGS ?=

.DEFAULT_GOAL := build
.PHONY: build up down test check-fast check-deep lint bench install uninstall deb clean help

build: ## release build: build/freehold
	@tools/install-deps build
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) --buildtype=$(TYPE) --prefix=$(PREFIX) $(MESON_FLAGS) >$(BUILD).setup.log 2>&1 || { cat $(BUILD).setup.log; exit 1; }
	@rm -f $(BUILD).setup.log
	@ninja -C $(BUILD) --quiet src/freehold >$(BUILD)/ninja.out 2>&1 || { cat $(BUILD)/ninja.out; exit 1; }
	@ln -sf src/freehold $(BUILD)/freehold

up: build ## install what is missing, build, start, prove with a generated sentence (DETACH=1 returns, POOL=1 lets machines join)
	@BUILD=$(BUILD) DETACH=$(DETACH) POOL=$(POOL) tools/up

down: ## stop what `make up DETACH=1` started
	@BUILD=$(BUILD) tools/down

test: ## every test; the last line is "N passed, N failed, N skipped"
	@tests/run all

check-fast: ## what a developer runs on each change: release build and unit tests
	@tests/run fast

check-deep: ## everything of `make test`, then fuzzing, torture and soak for a long time
	@tests/run deep

lint: ## formatting, clang-tidy, cppcheck, shellcheck, types of the page
	@tools/install-deps build lint
	@tools/lint

bench: build ## the benchmark tables of docs/BENCHMARKS.md against peers found on the machine
	@ninja -C $(BUILD) --quiet tests/edge/edge_upstream tests/edge/edge_load
	@BUILD=$(BUILD) bench/run --write
	@BUILD=$(BUILD) bench/gateway

install: build ## FHS install below DESTDIR and PREFIX
	@BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) tools/install

uninstall: ## remove what install put there; says what stays
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) tools/uninstall

deb: build ## a Debian package in build/
	@BUILD=$(BUILD) tools/deb

clean: ## remove build folders
	@rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
