# wanbatch: everything a developer or a CI machine runs. Needs Go and make; race needs gcc.
.DEFAULT_GOAL := help
.PHONY: help build install dist man completions test race lint check kill simulate prove planted demo bench clean

SEEDS := 20000
FROM := 0
KILLS := 300
KILLS_PER := 3

LINT_VERSION := v2.15.0
LINT := .bin/golangci-lint-$(LINT_VERSION)
PREFIX := /usr/local
DEST = $(DESTDIR)$(PREFIX)
PLATFORMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64

GOFILES = $(shell find . -name '*.go' -not -path './.*' -not -path './output/*')

# One static binary; only the race detector needs a C compiler.
export CGO_ENABLED := 0

# VERSION=1.2.3 names a build that has no commit or tag to take its version from.
BUILD = go build -trimpath -ldflags "$(STRIP) $(if $(VERSION),-X main.version=$(VERSION))"

help: ## show this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build .bin/wanbatch; its version comes from the commit or tag
	@mkdir -p .bin
	$(BUILD) -o .bin/wanbatch ./cmd/wanbatch

install: build man completions ## install program, man pages and completions below PREFIX (/usr/local), DESTDIR before it
	install -d "$(DEST)/bin" "$(DEST)/share/man/man1" "$(DEST)/share/bash-completion/completions" \
		"$(DEST)/share/zsh/site-functions" "$(DEST)/share/fish/vendor_completions.d"
	install -m 755 .bin/wanbatch "$(DEST)/bin/"
	install -m 644 .bin/build/man/*.1 "$(DEST)/share/man/man1/"
	install -m 644 .bin/build/completions/wanbatch.bash "$(DEST)/share/bash-completion/completions/wanbatch"
	install -m 644 .bin/build/completions/wanbatch.zsh "$(DEST)/share/zsh/site-functions/_wanbatch"
	install -m 644 .bin/build/completions/wanbatch.fish "$(DEST)/share/fish/vendor_completions.d/"

dist: STRIP = -s -w
dist: man completions ## pack .bin/dist: an archive and an SBOM for each platform, and SHA256SUMS
	@rm -rf .bin/build/*-*
	for p in $(PLATFORMS); do GOOS=$${p%-*} GOARCH=$${p#*-} $(BUILD) -buildvcs=auto -o .bin/build/$$p/ ./cmd/wanbatch || exit 1; done
	go run ./internal/dist -version "$(VERSION)" -modules "$$(go env GOMODCACHE)" -goroot "$$(go env GOROOT)"
	@ls -l .bin/dist

man:
	@rm -rf .bin/build/man
	go test ./cmd/wanbatch -count=1 -run 'TestManPages$$' -man "$(CURDIR)/.bin/build/man"

completions: build
	@mkdir -p .bin/build/completions
	for s in bash zsh fish powershell; do .bin/wanbatch completion $$s > .bin/build/completions/wanbatch.$$s || exit 1; done
	@mv .bin/build/completions/wanbatch.powershell .bin/build/completions/wanbatch.ps1

test: ## run the whole suite: offline, free, nothing but Go
	go test -timeout 15m ./...

race: ## run the whole suite under the race detector
	CGO_ENABLED=1 go test -race -timeout 30m ./...

lint: $(LINT) ## check format, vet, linters and go.mod
	@test -z "$$(gofmt -l $(GOFILES))" || { echo "not formatted:"; gofmt -l $(GOFILES); exit 1; }
	go vet ./...
	go mod tidy -diff
	$(LINT) run ./...

$(LINT):
	@mkdir -p .bin
	GOBIN="$(CURDIR)/.bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $@

check: lint race kill ## what CI runs besides test and demo

kill: ## kill the real program KILLS times (300) and compare with a provider that survives
	go test ./cmd/wanbatch -run 'TestKill$$' -v -count=1 -timeout 12h -parallel 6 -kills $(KILLS) -kills.per $(KILLS_PER)

simulate: ## simulate SEEDS batches (20000) from seed FROM: make simulate SEEDS=100000 FROM=2000
	go test ./internal/batch -run 'TestSimulate$$' -v -count=1 -timeout 24h -seeds $(SEEDS) -from $(FROM)

prove: ## every flipped bit of a journal, every crash at full depth; takes its time
	go test ./pipeline -run 'TestAudit|Crash' -v -count=1 -timeout 12h -prove -crash.full

planted: ## plant every known bug and show which test catches each
	go test ./internal/planted -count=1 -v -planted all -timeout 60m

demo: build ## rehearse manifests/demo.yaml against the built-in emulator: no account, no money
	@rm -rf output/demo-rehearsal
	.bin/wanbatch rehearse manifests/demo.yaml
	@ls -l output/demo-rehearsal output/demo-rehearsal/videos

bench: ## run every benchmark, each with its baseline
	go test -run '^$$' -bench . -benchmem ./...

clean: ## remove what build and demo made
	rm -rf .bin output/demo-rehearsal
