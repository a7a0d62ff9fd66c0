# rtsep: `make demo` plays, `make test` tests; each installs what it needs, and says so before it does.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PLAY_PACKAGES := libportaudio2 python3-venv
TEST_PACKAGES := $(PLAY_PACKAGES) jackd2 tmux gcc g++ python3-dev
SONG ?=

# $(call apt,PACKAGES): install the Debian packages that are missing, if this machine has apt at all.
define apt
	@if command -v dpkg-query >/dev/null; then \
	  missing=""; for p in $(1); do \
	    case $$p in \
	      python3-venv) $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && continue;; \
	      python3-dev) [ -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] && continue;; \
	    esac; \
	    dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; \
	  done; \
	  if [ -n "$$missing" ]; then \
	    echo "installing system packages:$$missing (with apt-get$(if $(SUDO), and sudo))"; \
	    $(SUDO) apt-get update -qq && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  fi; \
	else echo "no apt here: install PortAudio (and JACK for the tests) by your own system's means"; fi
endef

.PHONY: demo test test-quick lint bench clean

demo: $(VENV)/play
	@$(BIN)/rtsep demo $(if $(SONG),--song "$(SONG)")

# Tests that play in real time mostly wait: they go first, beside the linters, three for two cores; the others want every
# core there is.
# What fails beside others, or takes its worker with it, must pass once more by itself.
AGAIN = $(BIN)/pytest --last-failed --last-failed-no-failures none
test: $(VENV)/test
	$(BIN)/pytest -n $$((3 * $$(nproc) / 2)) --dist worksteal -m realtime || $(AGAIN) -m realtime
	$(BIN)/pytest -n auto --dist worksteal -m 'not realtime' || $(AGAIN) -m 'not realtime'

test-quick: $(VENV)/test
	$(BIN)/pytest -n auto --dist worksteal -m 'not realtime and not slow'

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/test
	$(BIN)/python -m benchmarks

$(VENV)/play: pyproject.toml
	$(call apt,$(PLAY_PACKAGES))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtsep needs Python 3.11 or later")'
	@[ -d $(VENV) ] || $(PYTHON) -m venv $(VENV)
	@echo "installing rtsep into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/test: $(VENV)/play
	$(call apt,$(TEST_PACKAGES))
	@echo "installing what the tests need into $(VENV): PyTorch, OpenVINO and more"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[test]'
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps tinysoundfont
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info stems
