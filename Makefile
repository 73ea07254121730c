# make alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build test lint demo bench fuzz screenshots golden setup haproxy clean

SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
VULNDB   := golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018
CACHE    := $(or $(POSTERN_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/postern)
FUZZTIME ?= 20s
ARGS     ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the static, stripped program, in bin/postern
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/postern ./cmd/postern

# The tests run against real HAProxy 2.6, 3.0 and 3.2, and a real browser. The race detector
# makes pools forget, so what must allocate nothing is counted without it first.
test: setup ## everything the tests need, then vet and all tests with the race detector
	go vet ./...
	@rm -f bin/measured && mkdir -p bin
	go test -count 1 -run 'Allocate' ./agent/...
	PATH="$(CACHE)/haproxy-3.2:$$PATH" POSTERN_MEASURED="$(CURDIR)/bin/measured" go test -race -timeout 20m -parallel 4 ./...
	@sort bin/measured 2>/dev/null || echo "(from the cache: nothing measured anew)"

setup: haproxy ## what the tests need: three HAProxy series, slapd, Chromium, axe-core
	@testdata/slapd.sh
	@testdata/axe.sh
	@command -v chromium >/dev/null || { \
		echo "Chromium is missing: installing Debian's chromium"; \
		$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium; }

haproxy: ## HAProxy 2.6, 3.0 and 3.2 in the cache folder; installs nothing
	@testdata/haproxy.sh

lint: ## gofmt, vet, staticcheck, govulncheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not formatted by gofmt:"; echo "$$out"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	@if dir=$$(go mod download -json $(VULNDB) | sed -n 's/^\t"Dir": "\(.*\)",*$$/\1/p') && [ -d "$$dir/data/osv" ]; then \
		echo "govulncheck ./..."; testdata/govulncheck.sh "file://$$dir/data/osv"; \
	else echo "govulncheck: SKIPPED, its database $(VULNDB) cannot be had"; fi

demo: ## HAProxy, Postern and a sample application on this machine; installs haproxy if it is missing
	@command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || { \
		echo "HAProxy is missing: installing Debian's haproxy"; \
		$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy haproxy; }
	go run ./cmd/postern demo $(ARGS)

bench: build haproxy ## (installs wrk if it is missing) Postern beside an agent that answers constants, through each HAProxy: bench-out/
	@command -v wrk >/dev/null || { echo "wrk is missing: installing Debian's wrk"; \
		$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy wrk; }
	go run ./cmd/spopbench run --out bench-out $(foreach v,2.6 3.0 3.2,--haproxy $(v)=$(CACHE)/haproxy-$(v)/haproxy) $(ARGS)

fuzz: ## every fuzz target for FUZZTIME (20s)
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

screenshots: setup ## pictures of every page of the portal, in screenshots/
	POSTERN_SCREENSHOTS=$(CURDIR)/screenshots go test -count 1 -run Screenshots ./portal/... ./cmd/...

golden: ## write the golden files anew; read the diff
	go test ./haproxy -run Golden -update
	go test ./cmd/postern/config -update

clean: ## remove what was built; the cache of HAProxy stays
	rm -rf bin screenshots bench-out
