# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow pages oracle torture fuzz bench lint format docs clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/oracle: .venv/installed tests/oracles/fastai/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement tests/oracles/fastai/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps 'fastai>=2.8.12,<2.9'
	touch $@

demo: .venv/installed  ## fine-tune on the shipped reviews, in minutes
	$(BIN)/python experiments/demo.py $(DEMO)

PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test: .venv/installed  ## the test suite, but for the slow tests and the programs of the documentation
	$(PYTEST) --ignore tests/test_pages.py -m 'not slow'

slow: .venv/installed  ## the slow tests: whole trainings, the experiments, several processes, and the pages
	$(PYTEST) -m slow

pages: .venv/installed  ## the commands and programs of README and docs/, as they stand, alone
	$(PYTEST) tests/test_pages.py

oracle: .venv/oracle  ## fastai, so that `make test` compares with it

torture: .venv/installed  ## a run killed at 50 random moments
	$(BIN)/python tests/training/torture.py $(TORTURE)

fuzz: .venv/installed  ## more than 10,000 hostile files, model folders and texts
	$(BIN)/python -m pytest --hypothesis-profile long $(or $(FUZZ),tests/*/test_fuzz_*.py)

bench: .venv/oracle  ## speed and memory beside fastai's, with DATA=the folder of imdb_reviews
	$(BIN)/python benchmarks/run.py --data-dir $(or $(DATA),../shared/data) $(BENCH)

lint: .venv/installed  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

docs: .venv/docs  ## the pages in docs/ and the reference, for a browser: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## everything that is not in the repository but training runs
	rm -rf .venv build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
