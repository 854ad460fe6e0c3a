# `make train` and `make test` do everything from a fresh clone, in a virtual environment of their own.
# PIP_CONSTRAINT=constraints.txt make train   takes exactly the versions last tested.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-all test-slurm test-track lint book clean

train: $(VENV)/.installed
	$(BIN)/python main.py train

# Two tests at a time, each on one core; `teacher verify` proves the students' tests.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(VENV)/.installed-dev lint
	$(PYTEST) -m "not slow"
	$(BIN)/python -m teacher verify --todos 3.2

test-all: $(VENV)/.installed-dev lint
	$(PYTEST)
	$(BIN)/python -m teacher verify

# job.py against a Slurm of its own on this machine; skipped, with the reason, where there is none.
test-slurm: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -rs tests/slurm

# `main.py track` with the real stores, in an environment of its own: Trackio wants an older Pillow.
test-track: requirements-track.txt requirements.txt
	$(PYTHON) -m venv $(VENV)-track
	$(VENV)-track/bin/python -m pip install --disable-pip-version-check -q -r requirements.txt -r requirements-track.txt
	OMP_NUM_THREADS=1 $(VENV)-track/bin/python -m pytest -rs tests/test_tracking.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The text and the notebooks as one site, book/index.html.
book: $(VENV)/.installed-dev
	$(BIN)/python -m teacher book

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-track .pytest_cache .ruff_cache
