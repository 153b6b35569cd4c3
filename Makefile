# Margin Lab. `make book` and `make test` set up .venv by themselves; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := _build/site.stamp
SOURCES = $(shell find margin_lab -type f -not -path '*/__pycache__/*')
CHAPTERS = $(wildcard book/*.ipynb)
PAGES = _config.yml _toc.yml $(shell find book -type f -not -path '*/__pycache__/*' -not -path '*/.*')
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup
FAST = "not slow and not browser and not gpu"
# The debugger of the kernels would print a warning about frozen modules into every chapter's stderr.
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: help book test test-fast test-elsewhere lab check-notebooks bench lint format address lock clean

help:
	@echo "make book             build the HTML book into _build/html"
	@echo "make test             run all tests (builds the book first if it is not up to date)"
	@echo "make test-fast        those without a browser that take seconds; the book need not be built"
	@echo "make test-elsewhere   the same in a random order, with another processor's arithmetic"
	@echo "make lab              open JupyterLab on the chapters"
	@echo "make check-notebooks  run every chapter again with nbmake"
	@echo "make bench            run the benchmarks"
	@echo "make lint             ruff and mypy; 'make format' repairs what ruff can"
	@echo "make address URL=...  move the book to another repository address"
	@echo "make lock             resolve the dependencies anew and write requirements.txt"
	@echo "make clean            remove everything that was built; .venv stays"

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq -r requirements.txt
	$(BIN)/pip install -qq --no-deps -e .
	@touch $@

# The chapters are run here, as many at a time as there are cores, and jupyter-book finds their outputs in the cache.
# --all reads every page again: Sphinx repeats no warning of a page it skips, and a failed build would pass the second time.
book: $(READY)
	@rm -f $(SITE)
	@mkdir -p _build
	$(BIN)/python tools/execute.py
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	@touch $(SITE)

# The tests read the built pages, so those must be of today.
$(SITE): $(READY) $(SOURCES) $(PAGES)
	$(MAKE) book

test: $(READY) $(SITE)
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m $(FAST)

# What MKL and torch compute on an old processor: a result that leans on one machine's rounding fails here. The order's seed is printed.
test-elsewhere: $(READY)
	MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY=default $(PYTEST) -p randomly -m $(FAST)

lab: $(READY)
	$(PYTHON) tools/chapter_list.py
	JUPYTER_CONFIG_PATH=$(CURDIR)/tools/jupyter $(BIN)/jupyter lab --ServerApp.root_dir=book --LabApp.default_url=/lab/tree/README.md

check-notebooks: $(READY)
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 -W ignore $(CHAPTERS)

bench: $(READY)
	$(BIN)/python -m pytest benchmarks --benchmark-only

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

address:
	$(PYTHON) tools/address.py $(URL)

# CUDA's own packages are left out: they exist on Linux only, and torch brings the ones it needs.
lock:
	rm -rf _build/lock && $(PYTHON) -m venv _build/lock
	_build/lock/bin/pip install -qq -e ".[book,exact,parallel,dask,site,test,bench,dev]"
	sed -n '/^[^#]/q;p' requirements.txt > _build/lock/header
	_build/lock/bin/pip freeze --all --exclude pip --exclude wheel --exclude-editable | sed 's/+cpu$$//' | grep -vE '^(nvidia|cuda|triton)' > _build/lock/set
	cat _build/lock/header _build/lock/set > requirements.txt
	rm -rf _build/lock

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
