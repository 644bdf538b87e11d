.DEFAULT_GOAL := help
GO ?= go
TOOL := $(GO) tool -modfile=tools.mod
FUZZTIME ?= 30s
KILLS ?= 500

# Rooms with places where a test build can crash, see internal/fault.
FAULTY := ./internal/fault/... ./internal/store/...
# The crash tests watch real processes from outside: there is nothing in them
# for the race detector.
RACY := $$($(GO) list ./... | grep -v /test/crash)

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r t h; do printf '  make %-8s %s\n' "$$t" "$$h"; done

.PHONY: check
check: ## What a change has to pass: all that CI runs
	bash .ci/run

.PHONY: test
test: ## All tests, the crash tests included; needs Go alone
	$(GO) test -shuffle=on -timeout 20m ./...
	$(GO) test -shuffle=on -timeout 10m -tags faults $(FAULTY)

.PHONY: race
race: ## The tests under the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 20m $(RACY)

.PHONY: crash
crash: ## Kill server and runner KILLS times each; default 500
	$(GO) test -count=1 -timeout 12h -v ./test/crash -kills $(KILLS)

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME; default 30s
	@grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' internal cmd | while IFS=: read -r file name; do \
		$(GO) test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" || exit 1; done

.PHONY: bench
bench: ## What Semel costs, each figure beside its own limit
	$(GO) test -count=1 -timeout 1h -run '^$$' -bench . ./test/bench

.PHONY: lint
lint: ## Formatting, linters, go.mod; the first time builds the linters, about 2 minutes
	$(GO) mod tidy -diff
	$(TOOL) golangci-lint fmt --diff
	$(TOOL) golangci-lint run
	$(TOOL) golangci-lint run --build-tags faults $(FAULTY)

.PHONY: fmt
fmt: ## Format all code
	$(TOOL) golangci-lint fmt

.PHONY: build
build: ## Build bin/semel: one static file
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/semel ./cmd/semel
