# wanbatch: everything a developer or a CI machine runs. Needs Go and make; race needs gcc.
.DEFAULT_GOAL := help
.PHONY: help build test race lint check demo bench clean

LINT_VERSION := v2.15.0
LINT := .bin/golangci-lint-$(LINT_VERSION)
GOFILES = $(shell find . -name '*.go' -not -path './.*' -not -path './output/*')

# One static binary; only the race detector needs a C compiler.
export CGO_ENABLED := 0

help: ## show this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build .bin/wanbatch; its version comes from the commit or tag
	@mkdir -p .bin
	go build -trimpath -o .bin/wanbatch ./cmd/wanbatch

test: ## run the whole suite: offline, free, nothing but Go
	go test ./...

race: ## run the whole suite under the race detector
	CGO_ENABLED=1 go test -race ./...

lint: $(LINT) ## check format, vet, linters and go.mod
	@test -z "$$(gofmt -l $(GOFILES))" || { echo "not formatted:"; gofmt -l $(GOFILES); exit 1; }
	go vet ./...
	go mod tidy -diff
	$(LINT) run ./...

$(LINT):
	@mkdir -p .bin
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $@

check: lint race ## what CI runs besides test and demo

demo: build ## rehearse manifests/demo.yaml against the built-in emulator: no account, no money
	@rm -rf output/demo-rehearsal
	.bin/wanbatch rehearse manifests/demo.yaml
	@ls -l output/demo-rehearsal output/demo-rehearsal/videos

bench: ## run every benchmark, each with its baseline
	go test -run '^$$' -bench . -benchmem ./...

clean: ## remove what build and demo made
	rm -rf .bin output/demo-rehearsal
