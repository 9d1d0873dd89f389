# Everything a developer or a visitor types. `make` alone lists it.
# Nothing is installed outside this folder: Python packages go to .venv, the page's to web/node_modules.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
ARGS ?=
# Processes that run tests beside each other.
WORKERS ?= 2

# The first Python that is new enough, newest last: what `python3` means on this machine wins.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

WEB_SOURCES := $(shell find web -type d \( -name node_modules -o -name tests \) -prune -o -type f -print 2>/dev/null)
WEB_STAMP := .tools/web
PEERS := .peers

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench docs web clean pins

help: ## this list
	@echo "make TARGET [ARGS=…]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

demo: $(VENV)/.demo $(WEB_STAMP) ## a year of real flights through the whole loop; ARGS="--quick --no-wait"
	@$(BIN)/homeostat demo $(ARGS)

test: $(VENV)/.dev $(WEB_STAMP) $(PEERS)/.mlflow-client $(PEERS)/.kserve-client $(PEERS)/.schemathesis-client ## every test; ARGS="tests/core -k name" for some
	@$(PY) -m compileall -q src # tests start hundreds of processes: none compiles the package anew
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal -rs $(ARGS)

lint: $(VENV)/.dev $(WEB_STAMP) ## style, types, arrows between the rooms, the page's types, the house rules
	@$(PY) tools/lint.py

format: $(VENV)/.dev ## put the style right where a tool can
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## the benchmarks; ARGS="serving" for one
	@$(PY) -m bench $(ARGS)

docs: $(VENV)/.dev ## the documentation, into site/
	@$(PY) tools/reference.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

web: $(WEB_STAMP) ## the page, into src/homeostat/web

pins: ## resolve requirements/*.txt again; ARGS=--upgrade for the newest (needs uv)
	@tools/pin.sh $(ARGS)

clean: ## remove everything that make made
	rm -rf $(VENV) $(PEERS) .tools site build dist src/homeostat/web web/node_modules .ruff_cache .hypothesis

$(PY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# The stamps are older than what they depend on exactly when something must be installed again.
$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(PY)
	@echo "installing into .venv (once; a minute or two) …" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/demo.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(PY)
	@echo "installing what tests and linters need into .venv (once; a few minutes) …" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ $(VENV)/.demo

# The real clients of others, which never share an environment with us. Where one cannot be installed its tests are
# skipped by name, and the next `make test` tries again.
$(PEERS)/.%-client: requirements/%-client.txt | $(PY)
	@echo "installing the $* client that the tests run into $(PEERS)/$* (once; a minute) …" >&2
	@$(PY) -m venv --clear $(PEERS)/$* \
	  && $(PEERS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@ \
	  || { rm -rf $(PEERS)/$*; \
	       echo "the $* client could not be installed: the tests that run it will say that they are skipped" >&2; }

$(WEB_STAMP): $(WEB_SOURCES) requirements/web.txt tools/build_web.py | $(PY)
	@$(PY) tools/build_web.py
	@mkdir -p $(@D) && touch $@
