# surveygate: every task of the house. `make help` lists them.

GO       ?= go
FUZZTIME ?= 30s
TESTTIME ?= 30m
# More flags for the tests: many wait for other processes, so -parallel 4 suits two cores.
TESTFLAGS ?=
# The packages whose tests take longest begin first, so that none of them is alone at the end.
LONGEST  := ./cmd/surveygate ./gateway/internal/state/redis ./gateway/internal/state/embedded ./gateway/internal/run ./gateway/internal/web
# What the race detector is for; ./... is everything.
RACED    ?= $$(.ci/raced $(LONGEST))
SHORT    ?= -short
BIN      := bin

.DEFAULT_GOAL := help
.PHONY: help run build test contracts race fuzz crash bench lint vuln docs docs-check examples check needs assets

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "  %-12s %s\n", $$1, $$2}'

run: ## show one working: the demo
	$(GO) run ./cmd/surveygate demo

build: ## build the binary into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/surveygate ./cmd/surveygate

# Without cgo, as the binary is shipped: what is compiled here is linked again by the test of the image.
test: needs ## run every test; with SURVEYGATE_SPECS the contracts too
	CGO_ENABLED=0 $(GO) test -timeout $(TESTTIME) $(TESTFLAGS) $(LONGEST) ./...
ifdef SURVEYGATE_SPECS
	@$(MAKE) --no-print-directory contracts
else
	@echo "NOT RUN: make contracts. SURVEYGATE_SPECS names no folder of vendors' documents to hold the requests against."
endif

contracts: ## hold every request against the vendors' documents in SURVEYGATE_SPECS
ifndef SURVEYGATE_SPECS
	$(error SURVEYGATE_SPECS names no folder of vendors' documents)
endif
	$(GO) test -count=1 -tags contracts -run 'Contracts|WrongRequests' ./gateway/internal/outbound

# -short: fewer rounds of the same, which is much slower with the detector; `make race SHORT=` has as many as `make test`.
# pebblegozstd: with the compression that is shipped, in Go, which the detector sees, instead of a library in C.
race: needs ## run the tests with the race detector, where goroutines meet (.ci/raced)
	CGO_ENABLED=1 $(GO) test -race $(SHORT) -tags pebblegozstd -vet=off -timeout $(TESTTIME) $(TESTFLAGS) -skip "$$(.ci/unraced)" $(RACED)

fuzz: ## run every fuzzer for FUZZTIME (30s), two at a time
	@.ci/fuzz $(FUZZTIME)

crash: ## kill the built binary under load, five times
	$(GO) test -count=1 -run 'TestCrash' -v ./cmd/surveygate

bench: ## run the benchmarks, and the whole way beside its limit
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 1s ./rules/... ./connectors/... ./gateway/... ./cmd/...

lint: $(BIN)/golangci-lint ## linters, with those of go vet, and formatting
	$(BIN)/golangci-lint run ./...

vuln: ## known vulnerabilities of what is linked
	cd .ci/tools && $(GO) build -o ../../$(BIN)/govulncheck golang.org/x/vuln/cmd/govulncheck
	$(BIN)/govulncheck ./...

docs: ## derive pages, reference configuration and schema from the code
	$(GO) run ./cmd/docgen

docs-check: ## fail when a derived page is stale
	$(GO) run ./cmd/docgen -check

examples: ## play the examples and every block of the README
	$(GO) test -count=1 -run 'TestExamples|TestReadme' ./cmd/surveygate

needs: ## install what tests start: Redis, Chromium, Python, Node, PHP, Ruby
	@.ci/need redis-server redis-cli python3 python3-redis chromium node php ruby

assets: ## fetch the files of other projects that pages load, and compare their hashes
	@.ci/assets

check: ## what CI runs, word for word
	bash .ci/run

# Built again when its version or that of Go changes.
$(BIN)/golangci-lint: .ci/tools/go.mod .ci/tools/go.sum go.mod
	@mkdir -p $(BIN)
	cd .ci/tools && CGO_ENABLED=0 $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
