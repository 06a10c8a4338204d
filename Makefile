# The verbs of the project. `make demo` and `make test` set up all they need on a Debian or Ubuntu machine that has
# Python 3.11 and a C++ compiler.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := .venv/bin
BUILD  := build/editable
export PATH := $(CURDIR)/$(BIN):$(PATH)

CXX_FILES    = $(shell git ls-files 'native/*.h' 'native/*.cc' 'tests/native/*.h' 'tests/native/*.cc' \
                 'tests/fuzz/*.h' 'tests/fuzz/*.cc' 'benchmarks/*.h' 'benchmarks/*.cc')
NATIVE_INPUT = $(shell find native proto tests/native tests/fuzz -type f -not -path '*/corpus/*')
CMAKE_TREE   = cmake -S native -G Ninja -DNPUSERVE_TESTS=ON -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
# Debian packages: HTTP/2 and compression, the framework of the native tests, what the real perf_analyzer links, h2load.
SYSTEM_PACKAGES = libnghttp2-dev zlib1g-dev doctest-dev libb64-0d nghttp2-client
# `make fuzz` alone needs clang, for its libFuzzer: so many inputs a target.
FUZZ_PACKAGES = clang
RUNS ?= 1000000
# The tests of one file run in one process, in their order; files go to whichever process is free.
PYTEST = $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
TEST_PROCESSES ?= 2
# On a terminal pip draws its own progress bars; in a log they are noise.
PIP_FLAGS = --disable-pip-version-check $(if $(MAKE_TERMOUT),,--quiet)

.PHONY: setup native demo migrate-demo test check lint format asan tsan fuzz record-golden clean

setup: .venv/.python native

.venv/.system: PACKAGES = $(SYSTEM_PACKAGES)
.venv/.clang: PACKAGES = $(FUZZ_PACKAGES)
.venv/.system .venv/.clang:
	@mkdir -p .venv
	@python=$$($(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
	missing=$$(for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing $$python-venv"; \
	[ -e "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || missing="$$missing $$python-dev"; \
	if [ -n "$$missing" ]; then \
	  echo "installing system packages:" $$missing; \
	  [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	fi
	@touch $@

.venv/.tools: pyproject.toml | .venv/.system
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
	  > .venv/build-requirements.txt
	@$(BIN)/pip install $(PIP_FLAGS) -r .venv/build-requirements.txt
	@touch $@

native: $(BUILD)/.built

$(BUILD)/.built: $(NATIVE_INPUT) .venv/.system .venv/.tools
	@$(CMAKE_TREE) -B $(BUILD) -DNPUSERVE_PACKAGE_DIR=$(CURDIR)/server/npuserve >/dev/null
	@cmake --build $(BUILD)
	@touch $@

# After the native build, which it finds done.
.venv/.python: .venv/.tools pyproject.toml setup.py examples/bert_small/requirements.txt | native
	@echo "installing what the server, the example and the tests need"
	@$(BIN)/pip install $(PIP_FLAGS) --no-build-isolation -e '.[emulator,onnxruntime,tokenizer,otel,convert,bench,dev]'
	@$(BIN)/pip install $(PIP_FLAGS) --no-deps -r examples/bert_small/requirements.txt
	@touch $@

demo: setup
	@$(BIN)/python examples/bert_small/demo.py

# The chain of `npuserve migrate` on the three models. MODELS: some of them; FLAGS: as --language zh.
migrate-demo: setup
	@$(BIN)/python examples/bert_small/migrate.py $(FLAGS) $(MODELS)

test: setup lint
	@$(PYTEST)

check: setup
	@$(PYTEST) tests/unit tests/native tests/fuzz tests/test_layering.py

lint: setup
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	hadolint Dockerfile
	cython-lint --max-line-length=120 native/wire/*.pyx native/wire/*.pxd native/wire/*.pxi
	@echo "clang-format" && clang-format --dry-run -Werror $(CXX_FILES)
	@echo "clang-tidy" && git ls-files 'native/*.cc' | xargs -P 2 -n 4 clang-tidy --quiet -p $(BUILD) 2>/dev/null

format:
	ruff format .
	ruff check --fix .
	@clang-format -i $(CXX_FILES)

# The native tests under sanitizers, each in a build tree of its own. Python stays out: its binding is not instrumented.
asan: setup
	$(CMAKE_TREE) -B build/asan -DNPUSERVE_MODULE=OFF -DNPUSERVE_SANITIZE=address,undefined >/dev/null
	cmake --build build/asan
	NPUSERVE_NATIVE_BUILD=build/asan pytest tests/native tests/fuzz

tsan: setup
	$(CMAKE_TREE) -B build/tsan -DNPUSERVE_MODULE=OFF -DNPUSERVE_SANITIZE=thread >/dev/null
	cmake --build build/tsan
	NPUSERVE_NATIVE_BUILD=build/tsan pytest tests/native

# Coverage-guided: what reaches new code joins the corpus, which every test run replays. Crashes are left in build/fuzz.
fuzz: setup .venv/.clang
	CC=clang CXX=clang++ $(CMAKE_TREE) -B build/fuzz -DNPUSERVE_TESTS=OFF -DNPUSERVE_MODULE=OFF -DNPUSERVE_EMULATOR=OFF \
	  -DNPUSERVE_FUZZ=ON -DNPUSERVE_SANITIZE=address,undefined >/dev/null
	cmake --build build/fuzz
	python tests/fuzz/seeds.py build/fuzz/seeds
	for target in infer_codec connection http; do \
	  mkdir -p build/fuzz/found/$$target && \
	  build/fuzz/tests/fuzz_$$target -runs=$(RUNS) -max_len=4096 -dict=tests/fuzz/$$target.dict -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/ build/fuzz/found/$$target tests/fuzz/corpus/$$target build/fuzz/seeds/$$target && \
	  build/fuzz/tests/fuzz_$$target -merge=1 -use_counters=0 tests/fuzz/corpus/$$target build/fuzz/found/$$target \
	    build/fuzz/seeds/$$target || exit 1; \
	done

# Asks the real Triton what the parity suite compares with; NPUSERVE_TRITON is the command that starts it. SESSIONS: some.
record-golden: setup
	@$(BIN)/python tests/conformance/record_golden.py $(SESSIONS)

bench-%: setup
	@$(BIN)/python -m benchmarks.$*.run

clean:
	rm -rf build server/npuserve/_emulator server/npuserve/_engine*.so server/npuserve/_load*.so server/npuserve/_wire*.so server/npuserve/_proto/*_pb2.py*
