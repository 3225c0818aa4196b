# make train · make test · make test-all · make lint · make bench · make gpu. Everything runs from .venv, which is made on first use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: train test test-all test-faults lint bench gpu clean
train: $(VENV)/.installed          ## train the default model on MNIST; ARGS="model=beta_vae model.beta=4" changes it
	$(BIN)/aetrain $(ARGS)

test: $(VENV)/.installed           ## the test suite; ARGS="-k mnist" selects
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-all: $(VENV)/.installed       ## and what takes longer: every choice of every key, every export
	$(BIN)/python -m pytest -n 2 --dist worksteal --all --exports $(ARGS)

test-faults: $(VENV)/.installed    ## 35 SIGKILLs over all models, 300 hostile folders
	$(BIN)/python -m pytest -s --kills=30 --mutations=300 tests/test_faults.py tests/test_hostile.py tests/sweeps/report/test_mutations.py

lint: $(VENV)/.installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: $(VENV)/.installed          ## step times beside a textbook loop; ARGS="--cases vae-128" selects
	$(BIN)/python -m benchmarks.speed $(ARGS)

gpu: $(VENV)/.installed            ## everything that needs a GPU, under 25 minutes; ARGS="--minutes 8 --only tests,speed"
	$(BIN)/python -m benchmarks.gpu $(ARGS)

# Reinstalled when pyproject.toml changes. The install is editable: changes of the code need none.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"aetrain needs Python 3.11 to 3.13 (Hydra 1.3 does not run on 3.14 yet), this is {sys.version.split()[0]}: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
