# Thin: meson and ninja do the work. `make help` lists what there is.
LISTEN ?= 127.0.0.1:8080
DATA_DIR ?=
SECONDS ?= 600
export LISTEN DATA_DIR LOG STORE ARGUMENTS PARALLELISM SAVEPOINT

.PHONY: help run build drivers up down flink flink-up flink-down test check soak bench bench-ingest bench-engine bench-stream bench-page fuzz format clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build and start pingd on the embedded default (LISTEN=ADDR:PORT, DATA_DIR=…); open the address that it logs
	@exec build/pingd --listen $(LISTEN) $(if $(DATA_DIR),--data-dir $(DATA_DIR)) --trusted-proxies 127.0.0.0/8

build: ## Install what is missing, build build/pingd and build/pingctl
	@scripts/bootstrap run
	@test -f build/build.ninja || meson setup build --buildtype=release
	@ninja -C build

drivers: ## Install or build the client libraries for Kafka and ScyllaDB, once (drivers/README.md)
	@scripts/bootstrap run drivers
	@scripts/build-drivers
	@! test -f build/build.ninja || meson setup --reconfigure build >/dev/null

up: drivers build ## pingd on a real PostgreSQL, Kafka and Cassandra on loopback, without Docker; ENGINE=flink: its metrics by make flink-up
	@scripts/bootstrap run servers
	@scripts/servers up --listen $(LISTEN) $(if $(ENGINE),--engine $(ENGINE))

down: ## Stop what `make up` started
	@scripts/servers down

flink: ## Build the Flink job: flink/target/ping-metrics.jar (docs/FLINK.md)
	@scripts/bootstrap test
	@scripts/flink build

flink-up: ## A Flink cluster on loopback (dashboard on 8081) and the job, on make up's servers or LOG=kafka://… STORE=scylla://…
	@scripts/bootstrap test
	@scripts/flink up

flink-down: ## Stop the job with a savepoint, then the cluster
	@scripts/flink down

test: ## Every test (what CI runs)
	@scripts/bootstrap run test drivers
	@scripts/test all

check: ## Fast unit tests only
	@scripts/bootstrap run test
	@scripts/test unit

soak: ## The long proofs: SECONDS=600
	@scripts/bootstrap run test drivers soak
	@scripts/test soak --seconds $(SECONDS)

bench: ## The figures, as ratios measured side by side
	@scripts/bootstrap run bench
	@bench/run

bench-ingest: ## pingd on PostgreSQL and Kafka beside another server (PING_PEER=PROGRAM)
	@scripts/bootstrap run test drivers bench
	@bench/ingest

bench-engine: ## The native engine on 10 M events from Kafka, beside librdkafka alone
	@scripts/bootstrap run test drivers bench
	@bench/engine

bench-stream: ## The native engine, the Flink job and their clients alone, on the same 10 M events from Kafka
	@scripts/bootstrap run test drivers bench
	@bench/stream

bench-page: ## The dashboard's figures, in Chromium, with 100,000 clients
	@scripts/bootstrap run test bench
	@bench/page

fuzz: ## Every fuzzer, SECONDS=600 each
	@scripts/bootstrap run test
	@scripts/test fuzz --seconds $(SECONDS)

format: ## clang-format over the C sources
	@scripts/bootstrap run test
	@scripts/test format

clean: ## Remove what was built (no data)
	@rm -rf build build-test
