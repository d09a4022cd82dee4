# Everything runs in .venv, which is made from requirements.lock when it is missing, unfinished or older.

BIN := .venv/bin
READY := .venv/ready

.PHONY: help demo test lint bench serve lock

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1 #/p' Makefile

demo: $(READY)  ## a simulated shop, end to end: data, training and scores in demo/
	$(BIN)/tierwise demo

# Two at a time; threads of linear algebra would only wait for each other.
test: export OPENBLAS_NUM_THREADS = 1
test: $(READY)  ## all tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## speed and accuracy, side by side with what people use instead: takes long
	@for program in benchmarks/*.py; do echo "# $$program" && $(BIN)/python "$$program" || exit 1; done

serve: $(READY) demo/tierwise.toml  ## the service, with the model of the demo
	$(BIN)/tierwise serve -c demo/tierwise.toml

demo/tierwise.toml:
	$(MAKE) demo

lock: $(READY)  ## requirements.lock, from the dependencies in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --group dev --group bench pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -e $@ || for name in $(PYTHON) python3.11 python3.12 python3.13 python3 none; do \
		test "$$name" != none || { echo 'Python 3.11, 3.12 or 3.13 is needed and none was found;' \
			'install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }; \
		"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
		"$$name" -m venv --clear .venv && break; \
		echo "$$name makes no virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	done
	@rm -f $@
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || { echo 'LightGBM needs' \
		'the library libgomp.so.1; on Debian and Ubuntu: apt-get install libgomp1' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@
