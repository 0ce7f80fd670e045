# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: .venv/installed  ## fine-tune on the shipped reviews, in minutes
	$(BIN)/python experiments/demo.py $(DEMO)

test: .venv/installed  ## the whole test suite
	$(BIN)/python -m pytest

lint: .venv/installed  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## everything that is not in the repository but training runs
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
