# make help says what there is. Everything a target needs is set up by itself, in .venv, and kept up to date.

ARGS ?=

# Every Python has its own environment: make test PYTHON=python3.12 does not touch .venv.
ifdef PYTHON
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
VENV ?= .venv
endif

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
PYTEST := $(PY) -m pytest -q
# All tests at once: one process more than there are cores, for some tests wait. JOBS=0 for one, and for pdb.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# The .py twins, even where compiled modules stand beside them; in a subprocess too.
PURE := AIONETFLOW_PURE=1

# Many processes are started, each of which would compile all that it imports where no bytecode may be kept.
unexport PYTHONDONTWRITEBYTECODE

# What the compiled modules are made of: setup.py finds them by the same rule.
PXD := $(shell find aionetflow -name '*.pxd')
SOURCES := $(PXD) $(wildcard $(PXD:.pxd=.py)) $(shell find aionetflow -name '*.pyx')

say = @printf '%s\n' '$(1)' >&2

.DEFAULT_GOAL := help
.PHONY: help demo test test-all coverage bench bench-parts bench-costs bench-conditions bench-tunnel bench-page bench-check conformance ecosystem interop soak rfc mutants fuzz fuzz-parsers wheel lint clean
.NOTPARALLEL:
.SUFFIXES:
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf 'make %-16s %s\n' "$$name" "$$text"; done
	@printf '\n%s\n' 'Variables: ARGS="..." for demo, test, bench, bench-parts, bench-costs, bench-conditions, bench-tunnel, conformance, ecosystem, interop, soak, mutants and fuzz; JOBS=0 for test; PYTHON=/path/to/python'

demo: $(VENV)/demo.stamp $(VENV)/built.stamp  ## two hosts, two routers, a lossy link, and a page that crosses it
	@$(PY) -m aionetflow demo $(ARGS)

# What the kernel says to the scripts of tests/kernel is asked once for both runs.
test: export AIONETFLOW_KERNEL_LOGS := $(CURDIR)/build/kernel
test: $(VENV)/dev.stamp $(VENV)/built.stamp  ## all tests, on the compiled build and on the pure one, with coverage
	@rm -rf build/kernel && mkdir -p build/kernel
	@if [ -e "aionetflow/_fast$$($(PY) -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')" ]; then \
	    $(PYTEST) -n $(JOBS) $(ARGS); \
	    else echo 'no compiled modules here (no C compiler?): the compiled run is left out' >&2; fi
	@$(MAKE) --no-print-directory coverage

# The pure run, doctests included: compiled functions hide their docstrings and their lines.
coverage: $(VENV)/dev.stamp  ## all tests on the pure build; fails under 90 % of the lines
	@PYTHONPATH=$(CURDIR)/tests $(PY) -m support.lines 90 -m pytest -q -n $(JOBS) \
	    -W 'ignore:Module already imported:pytest.PytestAssertRewriteWarning' \
	    --doctest-modules --ignore=tests/ecosystem aionetflow tests $(ARGS)

test-all:  ## make test on every Python from 3.11 to 3.14 that is found
	@.ci/each-python

bench: $(VENV)/bench.stamp $(VENV)/built.stamp  ## beside asyncio and uvloop on the kernel: a table, JSON and a plot
	@$(PY) -m benchmarks $(ARGS)

bench-parts: $(VENV)/bench.stamp $(VENV)/built.stamp  ## by pytest-benchmark: a segment in, one out, a checksum, a turn of the loop
	@$(PYTEST) benchmarks/time_parts.py $(ARGS)

bench-costs: $(VENV)/bench.stamp $(VENV)/built.stamp  ## how costs grow with connections, hosts, octets and delay
	@$(PY) -m benchmarks.costs $(ARGS)

bench-conditions: $(VENV)/bench.stamp $(VENV)/built.stamp  ## as root: TCP under twenty link conditions, beside the kernel's; a quarter of an hour
	@$(PY) -m benchmarks.conditions $(ARGS)

bench-tunnel: $(VENV)/bench.stamp $(VENV)/built.stamp  ## as root: one stream through the tunnel, beside the kernel's VXLAN; two minutes
	@$(PY) -m benchmarks.tunnel $(ARGS)

bench-page: $(VENV)/bench.stamp $(VENV)/built.stamp  ## docs/performance.md, made of docs/performance.json and docs/costs.json
	@$(PY) -m benchmarks.page

bench-check: $(VENV)/dev.stamp $(VENV)/built.stamp  ## instructions per operation, by valgrind; fails if one grew by over 5 %
	@$(PY) -m benchmarks.instructions $(ARGS)

conformance: $(VENV)/conformance.stamp $(VENV)/built.stamp  ## the network tests of CPython's asyncio and of uvloop, on our loop
	@PYTHONPATH=tests $(PY) -m conformance $(ARGS)

soak: $(VENV)/dev.stamp $(VENV)/built.stamp  ## the long tests: much data over bad links, many seeds
	@$(PYTEST) -m soak $(ARGS)

interop: $(VENV)/dev.stamp $(VENV)/built.stamp  ## as root: the kernel and its programs through TAP devices, and a gigabyte each way
	@$(PYTEST) -m interop tests/interop $(ARGS)

ecosystem: $(VENV)/ecosystem.stamp $(VENV)/built.stamp  ## real libraries, unmodified, on the virtual network
	@$(PYTEST) -n $(JOBS) -m ecosystem tests/ecosystem $(ARGS)

rfc: $(VENV)/dev.stamp  ## docs/rfc.md, made of the tests: each rule, where it stands in the code, and its test
	@cd tests && ../$(PY) -m rfc

mutants: $(VENV)/dev.stamp  ## breaks the code in a hundred places: which of them does no test notice? --rules, --all
	@PYTHONPATH=$(CURDIR)/tests $(PY) -m mutants $(ARGS)

fuzz: $(VENV)/built.stamp  ## hostile frames on a live host, a transfer beside them; ARGS="--frames 10000000"
	@PYTHONPATH=$(CURDIR)/tests $(PY) -m fuzz $(ARGS)

fuzz-parsers: $(VENV)/fuzz.stamp  ## octets for every parser, guided by coverage; ARGS="-max_total_time=60"
	@$(PURE) PYTHONPATH=$(CURDIR)/tests:$(CURDIR)/tests/support/pure $(PY) -m fuzz.parsers $(ARGS)

lint: $(VENV)/dev.stamp  ## ruff and mypy --strict
	@$(PY) -m ruff check -q .
	@$(PY) -m mypy --strict

wheel: $(VENV)/tools.stamp  ## a wheel in dist/, tried: installed into an empty environment, demo and pytest plugin run there
	$(call say,building the wheel)
	@rm -rf dist/aionetflow-*.whl build/lib* build/bdist* build/try
	@$(PIP) wheel -qq --no-deps --no-build-isolation -w dist .
	@$(PY) -m venv build/try/venv
	@build/try/venv/bin/python -m pip --disable-pip-version-check install -qq "$$(echo dist/aionetflow-*.whl)[demo]"
	@mkdir build/try/empty && cd build/try/empty && ../venv/bin/python -m aionetflow demo $(ARGS)
	@build/try/venv/bin/python -m pip --disable-pip-version-check install -qq pytest
	@sed -n '/^```python/,/^```$$/p' docs/testing.md | sed '/^```$$/q' | sed '1d;$$d' > build/try/empty/test_echo.py
	@cd build/try/empty && touch pytest.ini && ../venv/bin/python -m pytest -q
	@echo dist/aionetflow-*.whl

clean:  ## remove all that make made
	@rm -rf .venv .venv-3.* build dist aionetflow.egg-info htmlcov .coverage* .hypothesis .mypy_cache \
	    .pytest_cache .ruff_cache
	@find aionetflow tests benchmarks \( -name '*.so' -o -name '*.pyd' -o -name '*.pyc' \) -delete 2>/dev/null || true
	@find aionetflow tests benchmarks -name __pycache__ -delete 2>/dev/null || true

# ---- how it is set up: an environment, the build tools, one stamp for each extra, the compiled modules in place

# The build tools are those that pyproject.toml requires; compiling in place needs them in the environment.
$(VENV)/tools.stamp: pyproject.toml
	$(call say,setting up $(VENV))
	@.ci/make-venv $(VENV) $(PYTHON)
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], \
	    sep="\n")' > $(VENV)/tools.txt
	@$(PIP) install -qq -r $(VENV)/tools.txt
	@touch $@

# Installing must not compile: the next rule does, and only it.
$(VENV)/%.stamp: $(VENV)/tools.stamp
	$(call say,installing what $* needs)
	@AIONETFLOW_BUILD=pure $(PIP) install -qq --no-build-isolation -e '.[$*]'
	@touch $@

# The stamp is as old as the beginning: what is edited meanwhile is compiled next time.
$(VENV)/built.stamp: $(SOURCES) setup.py $(VENV)/tools.stamp
	$(call say,compiling aionetflow (a minute or two the first time))
	@touch $@.begun
	@$(PY) setup.py -q build_ext --inplace
	@mv $@.begun $@
