# One verb per job. Every target installs what it needs (Debian packages and npm only).
.PHONY: help setup build demo test ci-full faults gauntlet-full package format lint clean
help:
	@echo "make demo     build, make a small task with planted weaknesses, assess it, tell which were named"
	@echo "make test     build everything and run every test"
	@echo "make package  a relocatable archive and a .deb in build/release"
	@echo "make ci-full  the long checks: clang, no LibTorch, thread sanitizer, full statistics"
	@echo "make faults   the guard's fault suite, long form: 1,000 kills, 330,000 decisions with a decider that misbehaves"
	@echo "make gauntlet-full  every agent in every world, 10 runs; completes docs/gauntlet-full.json (WORLDS=a,b: only these)"
	@echo "make format   format the sources;  make lint   the style checks alone"

setup:
	@tools/setup

build: setup
	@mkdir -p build
	@cmake --preset dev > build/dev.configure.log || { cat build/dev.configure.log; exit 1; }
	@cmake --build --preset dev

demo: build
	@build/dev/bin/plumbline demo build/demo

test: build
	@ctest --preset dev

ci-full: setup
	@tools/ci-full

faults: build
	@PLUMBLINE_FAULTS=long build/dev/tests/plumbline_faults_test

gauntlet-full: build
	@build/dev/bin/plumbline gauntlet --full $(if $(WORLDS),--worlds $(WORLDS)) --write docs/gauntlet-full.json

package: setup
	@tools/package

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

lint:
	@/usr/bin/python3 tools/lint/layers.py && /usr/bin/python3 tools/lint/bits.py && tools/lint/format

clean:
	@rm -rf build
