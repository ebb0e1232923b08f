# `make demo` and `make test` are all that a fresh machine needs: Python 3.10 or newer and Java 17 or 21.

SHELL := /bin/sh
VENV := .venv/bin
# The first Python that is new enough; where there is none, python3, which is then told what it lacks.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && { echo "$$p"; exit; }; done; echo python3)
SEEDS ?= 20
FIRST ?= 1
MINUTES ?= 40
RATE ?= 200
BENCH ?=
FIELD ?=
LIBRARIES ?=
UV_VERSION := 0.13.8
STREAM_PEERS := bytewax export flink quix
UV_FLAGS := --universal --python-version 3.10 --quiet --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-rollout archive test test-long fuzz check chaos soak bench-exact bench-throughput bench-batch bench-decoding bench-serve bench-many bench-drift bench-guard bench-shadow bench-lookup bench bench-live bench-peers bundle bundle-env docs lock clean

help:  ## Show this list
	@echo "Penstock: score a Kafka stream with a registry model, and swap it while the stream runs."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:  ## Make .venv from the lock file and fetch the jars; nothing if both are there
	@command -v "$(PYTHON)" >/dev/null || { echo "set-up: Python was not found. Install 3.10 or newer (Debian, Ubuntu:" \
	"apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python@3.12)." >&2; exit 2; }
	@"$(PYTHON)" -m jobs.build.bootstrap

demo: setup  ## Train, stream a season of flights, swap the model on the way, and report
	@$(VENV)/penstock demo

demo-rollout: setup  ## Roll out a better version and a bad one over recorded flights, and repair what the bad one answered
	@$(VENV)/penstock demo-rollout

test: setup archive  ## Run the tests; the long ones have a short seed among them
	$(VENV)/python -m pytest --numprocesses 4 --dist loadscope --no-loadscope-reorder -m "not long"

test-long: setup archive  ## Run the long tests: the other ways to die, of which make test has one each
	$(VENV)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder -m long

archive: setup  ## Archive Spark's classes, half a minute once; each of the tests' many JVMs then starts twice as fast
	@$(VENV)/penstock setup --class-archive

fuzz: setup  ## Try the laws among the tests with thousands of random examples
	$(VENV)/python -m pytest --numprocesses 2 --dist loadscope -m hypothesis --hypothesis-profile fuzz --timeout 3600

check: setup  ## Lint, format, types and the architecture test
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/python -m pytest -q --durations=0 tests/test_architecture.py

field: setup  ## Run the small inputs on which Penstock once failed its users, a line each (FIELD="csv drift")
	@$(VENV)/python -m tests.field $(FIELD)

chaos: setup  ## Kill, freeze and starve the real job, and count every event (SEEDS=20, FIRST=1, ROLLOUT=1)
	$(VENV)/python -m tests.chaos --seeds $(SEEDS) --first $(FIRST) $(if $(ROLLOUT),--rollout)

bench-exact: setup  ## Measure the exact engine beside Spark's own Kafka sink
	$(VENV)/python -m benchmarks.exact

bench-throughput: setup  ## Measure events per second: both scorers, Spark, copies and the peers that are installed
	$(VENV)/python -m benchmarks.throughput $(BENCH)

bench-many: setup  ## Measure one job with 1, 10, 100 and 1,000 models
	$(VENV)/python -m benchmarks.many $(BENCH)

bench-batch: setup  ## Measure batch scoring beside PipelineModel.transform and mlflow's spark_udf
	$(VENV)/python -m benchmarks.batch

bench-decoding: setup  ## Measure the tiers of decoding JSON beside the reference
	$(VENV)/python -m benchmarks.decoding

bench-serve: setup  ## Measure penstock serve, with a swap, beside mlflow models serve and MLServer (installed once, 1 GB)
	-$(VENV)/python -m benchmarks.peers.install $(UV_VERSION) mlserver
	$(VENV)/python -m benchmarks.serve $(BENCH)

bench-drift: setup  ## Simulate drift detection beside other rules, then measure what it costs the scoring job
	$(VENV)/python -m benchmarks.drift
	$(VENV)/python -m benchmarks.drift.cost

bench-guard: setup  ## Simulate a rollout's guards: false rollbacks, and what they need to find a bad version
	$(VENV)/python -m benchmarks.guard

bench-shadow: setup  ## Measure the exact engine's latency with a shadow beside it, and without
	$(VENV)/python -m benchmarks.shadow $(BENCH)

bench-lookup: setup  ## Measure the exact engine's throughput with looked-up columns, and without
	$(VENV)/python -m benchmarks.lookup $(BENCH)

bench: setup  ## Measure our engines, Spark's micro-batch and the peers in some 15 minutes (BENCH="--runs 3" for more)
	-$(VENV)/python -m benchmarks.peers.install $(UV_VERSION) $(STREAM_PEERS)
	$(VENV)/python -m benchmarks.latency all --runs 1 --seconds 6 --boundaries 1 --burst 50000 $(BENCH)

bench-live: setup  ## Only our engines and Spark's micro-batch: latency at 1,000 and 5,000 events/s, and a swap
	$(VENV)/python -m benchmarks.latency live $(BENCH)

bench-peers: setup  ## Install the peers (Quix Streams, Flink, Bytewax; once, 1 GB) and measure them on the same events
	$(VENV)/python -m benchmarks.peers.install $(UV_VERSION) $(STREAM_PEERS)
	$(VENV)/python -m benchmarks.latency peers $(BENCH)

soak: setup  ## See whether a long-running job grows, swapping every minute (MINUTES=40 RATE=200)
	@$(VENV)/python -m benchmarks.soak --minutes $(MINUTES) --rate $(RATE)

bundle: setup  ## Write dist/penstock-app.zip for spark-submit --py-files
	@$(VENV)/python -m jobs.build.bundle dist/penstock-app.zip

bundle-env: setup  ## Write dist/penstock-env.tar.gz, the executors' environment (LIBRARIES="lightgbm" adds some)
	@$(VENV)/python -m jobs.build.bundle_env dist/penstock-env.tar.gz $(LIBRARIES)

docs: build/docs-env/installed  ## Build the documentation as a site: build/site/index.html
	@"$(PYTHON)" -m jobs.build.docs_site build/docs-pages
	@NO_MKDOCS_2_WARNING=1 build/docs-env/bin/mkdocs build --strict --quiet
	@echo "The site is build/site/index.html; to search in it: $(PYTHON) -m http.server --directory build/site"

build/docs-env/installed: requirements/docs.txt
	"$(PYTHON)" -m venv --clear build/docs-env
	build/docs-env/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/docs.txt
	@touch $@

lock:  ## Choose the versions anew and write requirements/*.txt
	"$(PYTHON)" -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	build/lock/bin/uv pip compile pyproject.toml $(UV_FLAGS) --group dev --upgrade --output-file requirements/lock.txt
	build/lock/bin/uv pip compile pyproject.toml $(UV_FLAGS) --constraints requirements/lock.txt \
		--output-file requirements/runtime.txt
	build/lock/bin/uv pip compile $(UV_FLAGS) --group pyproject.toml:docs --upgrade --output-file requirements/docs.txt

clean:  ## Remove everything that the other targets made
	@if [ -x $(VENV)/penstock ]; then $(VENV)/penstock down >/dev/null 2>&1 || true; fi
	rm -rf .venv .penstock build dist spark-warehouse metastore_db derby.log *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
