# One word per task; each is a command in ci/, to be read there.

.PHONY: build setup test lint types check bench dist

build:  ## compile the core beside its source
	@ci/build

setup:  ## make .venv and install everything the tests need
	@ci/setup

test:  ## the whole suite, once per core
	@ci/test

lint:
	@ci/lint

types:
	@ci/types

check:  ## lint, types and the quick tests
	@ci/check

bench:
	@ci/bench

dist:  ## sdist and wheels, each installed and tried
	@ci/dist
