# `make demo` shows the testbed at work, `make test` tests it; both set up what is missing first.
# To use another interpreter than the system's: `make clean setup PYTHON=/path/to/python3.12`.

VENV := .venv/bin
LOCK := $(VENV)/uv --quiet pip compile --universal --python-version 3.10 --no-python-downloads \
	--generate-hashes --no-header --no-annotate --no-emit-index-url

.PHONY: help demo test test-kernel try fuzz lint format lab docs setup setup-system lock clean
.DEFAULT_GOAL := help
.NOTPARALLEL: # also with `make -j clean setup`, one target follows the other

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: setup ## reboot an emulated access concentrator and watch its subscribers come back
	$(VENV)/lq run reboot --topology cable

# Tests mostly wait, so two workers halve the time. Tests that measure times run alone, afterwards.
WORKERS ?= 2
test: setup ## run the tests
	@sh setup/system.sh test
	$(VENV)/python -m pytest -m "not alone and not guest" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
	$(VENV)/python -m pytest -m "alone and not guest"

# Only files with such tests are read: on an emulated processor, reading all files would take a minute.
test-kernel: setup ## run the tests marked `kernel` on a kernel with Open vSwitch's datapath and netem
	@sh setup/system.sh test
	@sh setup/kernel.sh env LQ_KERNEL_GUEST=1 $(VENV)/python -m pytest -m kernel -v --tb=short --durations=0 \
		-p no:cacheprovider -W ignore::hypothesis.errors.HypothesisWarning $$(grep -rl mark.kernel tests --include='*.py')
	$(VENV)/python -m pytest -m "guest and not kernel" tests/test_kernel_guest.py

try: ## run demo and tests on another release, such as SUITE=trixie (as root or with sudo)
	@sh setup/try.sh "$(SUITE)"

SECONDS ?= 60
fuzz: setup ## search for input that breaks the programs, for SECONDS=60 per target
	@$(VENV)/uv --quiet pip install --python $(VENV)/python --only-binary :all: --require-hashes -r setup/fuzz.txt
	@for target in wire server config concentrator agent spec run; do \
		echo "fuzz: $$target, $(SECONDS) s" && $(VENV)/python -m tests.fuzz.run $$target $(SECONDS) || exit 1; done

lint: setup ## check style and types
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy

format: setup ## format the source
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

lab: setup ## open copies of the notebooks (lq-notebooks/) in JupyterLab
	$(VENV)/lq lab

docs: setup ## build the documentation as a site that can be searched, in build/site
	@$(VENV)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit("make docs needs Python 3.11 or newer")'
	@$(VENV)/uv --quiet pip install --python $(VENV)/python --only-binary :all: --require-hashes -r setup/docs.txt
	$(VENV)/python -m lq.requirements
	rm -rf build/site
	$(VENV)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs . build/site
	@echo "open build/site/index.html"

setup: setup-system ## install missing packages (system packages by sudo apt, Python packages into .venv)
	@sh setup/python.sh

setup-system:
	@sh setup/system.sh demo

lock: setup ## pin the newest versions of the Python packages
	$(LOCK) --upgrade --all-extras pyproject.toml -o requirements.txt
	echo uv | $(LOCK) --upgrade - -o setup/uv.txt
	$(LOCK) --upgrade setup/build.in -o setup/build.txt
	$(LOCK) --upgrade setup/fuzz.in -o setup/fuzz.txt
	$(LOCK) --upgrade --group docs -c requirements.txt -o setup/docs.txt

clean: ## remove all built files; the results in runs/ stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
