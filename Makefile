# tracemortem: `make help` lists the targets.
#
#   src/engine/   -> build/lib/libtracemortem.so         the engine, loaded by the debuggers
#   src/tracer/   -> build/python/tracemortem/_tracer.abi3.so   the tracer, loaded by the traced program
#   src/python/   -> build/python/tracemortem/           the package
#   gdb/ lldb/    are used where they are
#
# Variables for the command line:
#
#   CC CFLAGS LDFLAGS   as everywhere; WERROR=1 makes warnings errors
#   DEBUG=1             the tracer checks its own table as it goes, and ends the process if it is wrong
#   PYTHON              whose headers the tracer is built with, and for whom it is installed (one binary serves all)
#   PYTHONS             the CPythons to test; default: all that tests/support/pythons.py finds
#   PREFIX DESTDIR      where `make install` puts things; PYTHON_SITE and GDB_AUTO_LOAD move single parts
#   PYTEST_ARGS         more arguments for pytest, as in PYTEST_ARGS='-k diff -x'
#   TEST_JOBS           how many test files run at a time; default: one a processor
#   ROOTS               where the systems for `make matrix` and `make aarch64` are, or are made; RUN: what runs C tests
#   QUICK BENCH_ARGS    less of `make bench`, and more arguments for it

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

PYTHON ?= python3
# Runs the tests and the demo's driver: the one for which Debian packages pytest.
TEST_PYTHON ?= /usr/bin/python3
TEST_JOBS ?= $(shell nproc)
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local

BUILD := build
ENGINE := $(BUILD)/lib/libtracemortem.so
PACKAGE := $(BUILD)/python/tracemortem
TRACER := $(PACKAGE)/_tracer.abi3.so

layout_sources := $(sort $(wildcard src/layout/*.c))
engine_sources := $(sort $(wildcard src/engine/*.c src/engine/*/*.c))
tracer_sources := $(sort $(filter-out src/tracer/selfcheck.c,$(wildcard src/tracer/*.c)))
package_sources := $(sort $(wildcard src/python/tracemortem/*.py src/python/tracemortem/*/*.py))
package_files := $(package_sources:src/python/tracemortem/%=%)
test_sources := $(sort $(wildcard tests/engine/*/test_*.c tests/layout/test_*.c))
# Fakes take the place of a part of the engine: they are linked only where their headers (or the harness) are included.
test_fakes := $(sort $(wildcard tests/engine/support/fake_*.c))
fake_header := \#include "support/(harness|fake_[a-z_]*)\.h"
tests_with_fakes := $(if $(test_fakes),$(shell grep -lE '$(fake_header)' $(test_sources) /dev/null))
test_support := $(filter-out $(test_fakes),$(sort $(wildcard tests/engine/support/*.c)))
# Of debug builds alone: the tracer with the engine in it, which checks its table.
selfcheck_sources := src/tracer/selfcheck.c
c_sources := $(selfcheck_sources) $(layout_sources) $(engine_sources) $(tracer_sources) $(sort $(wildcard tests/*/*.c tests/*/*/*.c))
c_files := $(c_sources) $(sort $(wildcard src/*/*.h src/*/*/*.h tests/*/*.h tests/*/*/*.h))
python_files = $(shell find gdb lldb src tests -name '*.py' | sort)

# `make -j deps test` must not compile before the compiler is there.
after_deps := $(filter deps bench-deps,$(MAKECMDGOALS))

# ----------------------------------------------------------------------------------------------------------------
# Build

.PHONY: all
all: engine tracer package

.PHONY: engine tracer package
engine: $(if $(engine_sources),$(ENGINE))
tracer: $(if $(tracer_sources),$(TRACER))
package: $(package_files:%=$(PACKAGE)/%)

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes $(if $(WERROR),-Werror)
common_flags := -std=gnu11 $(warnings) -fPIC -fvisibility=hidden -fstack-protector-strong -Isrc
hardening := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
engine_flags := $(common_flags) $(hardening)
# Every allocation of the traced program goes through the tracer: its thread-local variables are found without a call
# (initial-exec), and its own functions are not looked up by name.
tracer_flags = $(common_flags) $(hardening) -ftls-model=initial-exec -fno-semantic-interposition \
    -DTRACEMORTEM_VERSION='"$(version)"' $(python_include)

# The tracer checks its own table with the engine's checker, which is then part of it.
ifdef DEBUG
tracer_sources += $(selfcheck_sources)
tracer_flags += -DTRACEMORTEM_SELFCHECK
tracer_checker := $(BUILD)/lib/libchecker.a
tracer_link_flags := -Wl,--exclude-libs,ALL
endif

# Said in one place.
version := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/python/tracemortem/__init__.py)

# The directory with Python.h: $(PYTHON)'s, or else Debian's. Asked when it is needed, which is after `make deps`. Headers of
# a free-threaded build will not have the limited API.
python_include = $(or $(addprefix -isystem ,$(call find_python_include)),$(error no Python.h: try `make deps`))
find_python_include = $(shell for python in $(PYTHON) /usr/bin/python3; do \
    dir=$$($$python -c 'import sysconfig as s; s.get_config_var("Py_GIL_DISABLED") or print(s.get_path("include"))' \
        2>/dev/null) && \
    test -f "$$dir/Python.h" && echo "$$dir" && break; done)

# Rewritten, and all that depends on it rebuilt, when the compiler or the flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(WERROR) $(DEBUG)' | cmp -s - $@ || \
	    echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(WERROR) $(DEBUG)' >$@
.PHONY: FORCE
FORCE:

prepared := Makefile $(BUILD)/flags | $(after_deps)
compile = @mkdir -p $(@D) && echo "  CC    $@" && $(CC) -MMD -MP $(CPPFLAGS) $(CFLAGS)

# What src/layout/ has of code is part of the engine and of the tracer.
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))
$(BUILD)/obj/layout/%.o: src/layout/%.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<

$(BUILD)/obj/engine/%.o: src/engine/%.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<

$(ENGINE): $(call objects,$(engine_sources) $(layout_sources))
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,defs -Wl,-z,relro -Wl,-z,now $(LDFLAGS) -o $@ $^

$(BUILD)/obj/tracer/%.o: src/tracer/%.c $(prepared)
	$(compile) $(tracer_flags) -c -o $@ $<

# Without libpython: its symbols are the interpreter's, or absent when the tracer is preloaded into another program.
$(TRACER): $(call objects,$(tracer_sources) $(layout_sources)) $(tracer_checker)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro $(tracer_link_flags) $(LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/lib/libchecker.a: $(call objects,$(engine_sources))
	@mkdir -p $(@D) && rm -f $@ && $(AR) rcsP $@ $^

$(PACKAGE)/%.py: src/python/tracemortem/%.py
	@mkdir -p $(@D)
	@cp $< $@

# ----------------------------------------------------------------------------------------------------------------
# Tests: the engine by cmocka under sanitizers, then everything else by pytest.

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
test_flags := $(common_flags) -Itests/engine -O1 $(SANITIZE)
test_programs := $(test_sources:%.c=$(BUILD)/%)
checked_engine := $(BUILD)/sanitized/libengine.a
checked_support := $(BUILD)/sanitized/libsupport.a

# Steps a traced Python instruction by instruction, and has the engine look after each.
torn_program := $(BUILD)/tests/torn/torn
torn_corpus := $(BUILD)/tests/torn/corpus.py
torn_objects := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/torn/*.c)))
$(torn_objects): $(BUILD)/%.o: %.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<
$(torn_program): $(torn_objects) $(call objects,$(engine_sources) $(layout_sources))
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
# Each __LINE__ is made into the number of its line.
$(torn_corpus): tests/torn/corpus.py $(prepared)
	@mkdir -p $(@D)
	@awk '{ gsub(/__LINE__/, NR) } 1' $< >$@

# What docs/reliability.md promises, each promise by itself and in its long form; `make test` has the short forms, and
# `make fuzz` is below. Torn: every instruction, and TORN_CORES cores of random moments of each CPython.
TORN_CORES ?= 100
.PHONY: torn verify incomplete ways-in fault regrtest
torn: all $(torn_program) $(torn_corpus)
	@PYTHONS='$(PYTHONS)' $(TEST_PYTHON) tests/torn/run.py
	@TM_CORES='$(TORN_CORES)' $(pytest) tests/torn/test_cores.py
verify: all $(BUILD)/tests/engine/verify/test_verify
	@$(BUILD)/tests/engine/verify/test_verify
	@TM_TEST_FULL=1 $(pytest) tests/tracer/test_selfcheck.py tests/incomplete/test_overwritten.py
incomplete: all
	@TM_TEST_FULL=1 $(pytest) tests/incomplete/test_parts.py tests/incomplete/test_zeros.py
ways-in: all
	@TM_TEST_FULL=1 $(pytest) tests/incomplete/test_ways_in.py tests/incomplete/test_without_files.py
fault: all
	@$(pytest) tests/fault tests/tracer/test_sanitized.py
regrtest: all
	@$(TEST_PYTHON) tests/regrtest/regrtest.py --logs $(BUILD)/regrtest $(REGRTEST_ARGS)

# Unless make was told how many jobs to run already.
in_parallel = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(TEST_JOBS))

.PHONY: test test-engine test-python
# The C tests first, also under -j: what they find is nearer to its cause.
test: all
	@$(MAKE) --no-print-directory $(in_parallel) test-engine
	@$(MAKE) --no-print-directory $(in_parallel) test-fuzz
	@$(MAKE) --no-print-directory test-python

test-engine: $(test_programs)
	@failed=; for test in $^; do echo "$$test"; $(RUN) $$test || failed="$$failed $$test"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

pytest := PYTHONS='$(PYTHONS)' PYTHONDONTWRITEBYTECODE=1 $(TEST_PYTHON) -m pytest -q -rs -p no:cacheprovider
test-python: all $(torn_program) $(torn_corpus)
	@echo "CPythons:"; PYTHONS='$(PYTHONS)' $(TEST_PYTHON) tests/support/pythons.py | sed 's/^/    /'
	@$(pytest) -n $(TEST_JOBS) --dist loadfile tests/ $(PYTEST_ARGS)

$(BUILD)/sanitized/%.o: %.c $(prepared)
	$(compile) $(test_flags) -c -o $@ $<

# Archives: a test or a fake which defines functions itself does not get the engine's file with the same.
$(checked_engine): $(patsubst %.c,$(BUILD)/sanitized/%.o,$(engine_sources) $(layout_sources))
	@rm -f $@ && $(AR) rcsP $@ $^
$(checked_support): $(test_support:%.c=$(BUILD)/sanitized/%.o)
	@mkdir -p $(@D) && rm -f $@ && $(AR) rcsP $@ $^

$(tests_with_fakes:%.c=$(BUILD)/%): $(test_fakes:%.c=$(BUILD)/sanitized/%.o)
$(test_programs): $(BUILD)/%: $(BUILD)/sanitized/%.o $(checked_support) $(checked_engine)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka

.SECONDARY:

# ----------------------------------------------------------------------------------------------------------------
# Fuzzing: libFuzzer on what eats foreign bytes. `make fuzz` goes on until it is interrupted, or for FUZZ_SECONDS a target,
# and grows a corpus of its own in $(FUZZ_FOUND); what crashed is kept there too, to be run by `TARGET FILE`. `make test`
# replays the corpus of tests/fuzz and goes on from there for a fixed number of executions.

FUZZ_CC ?= clang
FUZZ_SECONDS ?= 0
FUZZ_TARGET ?= $(fuzz_names)
FUZZ_FOUND ?= $(BUILD)/fuzz/found
FUZZ_ARGS ?=
fuzz_names := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
fuzz_programs := $(fuzz_names:%=$(BUILD)/fuzz/%)
# 512 MiB: the sanitizers' own; one answer takes a few MiB, a traceback's or a table's bounds included.
fuzz_limits := -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=64 -max_len=4096 -print_final_stats=1 -verbosity=0
fuzz_flags := $(common_flags) -Itests/engine -O1 $(SANITIZE) -fsanitize=fuzzer-no-link
# Its loops over thousands of empty entries would spend most of the time on telling libFuzzer of each comparison with 0.
$(BUILD)/fuzz/src/engine/table/walk.o: fuzz_flags += -fno-sanitize-coverage=trace-cmp
fuzz_runs := match) runs=20000;; memory) runs=2000;; *) runs=4000;;

$(BUILD)/fuzz/%.o: %.c $(prepared)
	@mkdir -p $(@D) && echo "  CC    $@" && $(FUZZ_CC) -MMD -MP -g $(fuzz_flags) -c -o $@ $<
$(BUILD)/fuzz/libengine.a: $(patsubst %.c,$(BUILD)/fuzz/%.o,$(engine_sources) $(layout_sources) \
    tests/engine/support/image.c tests/engine/support/stock_image.c tests/fuzz/fuzz.c)
	@rm -f $@ && $(AR) rcsP $@ $^
$(fuzz_programs): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libengine.a
	@echo "  LINK  $@"
	@$(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^

.PHONY: fuzz test-fuzz
# In turns of a minute each, so that all get theirs until somebody interrupts.
fuzz: $(fuzz_programs)
	@turn=60; [ '$(FUZZ_SECONDS)' = 0 ] || turn='$(FUZZ_SECONDS)'; \
	while :; do for name in $(FUZZ_TARGET); do \
	    found="$(FUZZ_FOUND)/$$name"; mkdir -p "$$found"; echo "fuzz: $$name, $$turn s"; \
	    $(BUILD)/fuzz/$$name $(fuzz_limits) -max_total_time="$$turn" $(FUZZ_ARGS) -artifact_prefix="$$found-" \
	        "$$found" tests/fuzz/corpus/$$name || exit 1; \
	done; [ '$(FUZZ_SECONDS)' = 0 ] || exit 0; done

test-fuzz: $(fuzz_programs)
	@rm -rf $(BUILD)/fuzz/new; mkdir -p $(FUZZ_FOUND); \
	for name in $(fuzz_names); do case $$name in $(fuzz_runs) esac; echo "fuzz: $$name, $$runs executions"; \
	    new=$(BUILD)/fuzz/new/$$name; mkdir -p $$new; \
	    $(BUILD)/fuzz/$$name $(fuzz_limits) -seed=1 -runs=$$runs -artifact_prefix=$(FUZZ_FOUND)/$$name- \
	        $$new tests/fuzz/corpus/$$name >$$new.log 2>&1 || { cat $$new.log; exit 1; }; done

# ----------------------------------------------------------------------------------------------------------------
# Looks at the sources

.PHONY: check check-format check-gcc check-clang check-cppcheck check-python format
check: check-format check-gcc check-clang check-cppcheck check-python

check-format:
	clang-format --dry-run -Werror $(c_files)

format:
	clang-format -i $(c_files)

check_flags = $(filter-out -Werror,$(tracer_flags)) -Werror -O2 -Itests/engine
check-gcc: $(c_sources:%.c=$(BUILD)/check/gcc/%.o)
check-clang: $(c_sources:%.c=$(BUILD)/check/clang/%.o)
$(BUILD)/check/gcc/%.o: %.c $(prepared)
	@mkdir -p $(@D) && echo "  GCC   $<" && gcc -MMD -MP $(check_flags) -c -o $@ $<
$(BUILD)/check/clang/%.o: %.c $(prepared)
	@mkdir -p $(@D) && echo "  CLANG $<" && clang -MMD -MP $(check_flags) -c -o $@ $<

check-cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem -Isrc $(layout_sources) $(engine_sources) $(tracer_sources)

# Old debuggers embed old Pythons: all is kept to the syntax of 3.8.
check-python:
	$(TEST_PYTHON) tests/support/check_syntax.py $(python_files)

# ----------------------------------------------------------------------------------------------------------------
# Other systems and another machine, as folders of Debian's packages; as root, not part of `make test`

ROOTS ?= $(BUILD)/roots

.PHONY: matrix aarch64
matrix: all
	$(TEST_PYTHON) tests/matrix/matrix.py --roots '$(ROOTS)' --here $(MATRIX_ARGS)

# The packages are unpacked and not installed: qemu-user runs single programs out of them.
arm64 := $(abspath $(ROOTS))/arm64
arm64_packages := libcmocka-dev,libpython3.11-dev,python3.11,libpython3.11-stdlib,python3
$(arm64)/usr/bin/python3.11:
	debootstrap --foreign --arch=arm64 --variant=minbase --include=$(arm64_packages) bookworm $(arm64)
	cd $(arm64) && for deb in var/cache/apt/archives/*.deb; do \
	    dpkg-deb --fsys-tarfile $$deb | tar -x --keep-directory-symlink || exit 1; done
	ln -s libcmocka.so.0 $(arm64)/libcmocka.so && cp -L $(arm64)/usr/lib/aarch64-linux-gnu/libcmocka.so.0 $(arm64)

# Compiled by Debian's gcc-aarch64-linux-gnu, tested by qemu-user; gdb-multiarch with the engine of this machine reads the
# other one's cores. The sanitizers do not run under qemu-user.
aarch64: all $(arm64)/usr/bin/python3.11
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc SANITIZE= WERROR=1 \
	    CPPFLAGS='-idirafter $(arm64)/usr/include' LDFLAGS='-L$(arm64)' \
	    python_include='-isystem $(arm64)/usr/include/python3.11' RUN='qemu-aarch64 -L $(arm64)' engine tracer test-engine
	TM_AARCH64='$(arm64)' TM_TEST_GDB=gdb-multiarch $(TEST_PYTHON) -m pytest tests/aarch64 -q -p no:cacheprovider

# ----------------------------------------------------------------------------------------------------------------
# Measure, show

.PHONY: bench demo
# PYTHON may be several. QUICK=1 takes two minutes, and leaves docs/performance.md alone.
bench: all
	@$(TEST_PYTHON) tests/bench/bench.py $(if $(QUICK),--quick) \
	    $(if $(filter file,$(origin PYTHON)),,$(PYTHON:%=--python %)) $(BENCH_ARGS)

demo: all
	@PYTHON='$(if $(filter file,$(origin PYTHON)),$(TEST_PYTHON),$(PYTHON))' $(TEST_PYTHON) tests/demo/demo.py

# ----------------------------------------------------------------------------------------------------------------
# Dependencies: Debian packages. Nothing is asked of apt when all are there.

PACKAGES := gcc libc6-dev make clang libclang-rt-dev python3-dev gdb lldb-19 python3-lldb-19 libcmocka-dev \
    python3-pytest python3-pytest-xdist python3-numpy python3-greenlet python3.11-dbg libpython3.11-testsuite clang-format clang-tidy cppcheck \
    procps binutils

# The applications which the benchmark runs, where they are there.
BENCH_PACKAGES := python3-docutils python3-jinja2 python3-mako python3-pygments python3-sympy python3-networkx \
    python3-django

.PHONY: deps bench-deps
bench-deps: PACKAGES += $(BENCH_PACKAGES)
deps bench-deps:
	@missing=; for package in $(PACKAGES); do \
	    case "$$(dpkg-query -W -f='$${db:Status-Abbrev}' $$package 2>/dev/null)" in \
	        ii*) ;; *) missing="$$missing $$package" ;; \
	    esac; \
	done; \
	if [ -z "$$missing" ]; then echo "deps: all there"; exit 0; fi; \
	echo "deps: missing:$$missing"; \
	install="apt-get install -y --no-install-recommends$$missing"; \
	if ! command -v apt-get >/dev/null; then \
	    echo "deps: no apt-get here. Install what these Debian packages hold:$$missing" >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root=sudo; \
	else echo "deps: not root. Run: apt-get update && $$install" >&2; exit 1; fi; \
	set -ex; \
	$$as_root apt-get update -q || echo "deps: not all package lists could be had; going on with what there is" >&2; \
	$$as_root env DEBIAN_FRONTEND=noninteractive $$install

# ----------------------------------------------------------------------------------------------------------------
# Install

#
#   $(PREFIX)/lib/libtracemortem.so         the engine; engine_path.txt in the package says where it is
#   $(PYTHON_SITE)/tracemortem/             the package with the tracer
#   $(PYTHON_SITE)/tracemortem.pth          the start-up hook: nothing happens unless TRACEMORTEM is in the environment
#   $(PREFIX)/share/tracemortem/            the debuggers' scripts, and a link to the package beside them
#   $(GDB_AUTO_LOAD)/$(PYTHON_SITE)/tracemortem/_tracer.abi3.so-gdb.py
#                                           has gdb load tm_gdb.py when it meets a process with the tracer

# The first of the directories in which $(PYTHON) looks for packages that lies below $(PREFIX)/lib.
PYTHON_SITE ?= $(or $(shell $(PYTHON) -c 'import os, site, sys; \
    lib = os.path.join(os.path.abspath(sys.argv[1]), "lib", ""); \
    default = "%spython%d.%d/site-packages" % ((lib,) + sys.version_info[:2]); \
    print(next((d for d in site.getsitepackages() if d.startswith(lib)), default))' '$(PREFIX)'), \
    $(error $(PYTHON) cannot tell where its packages are: set PYTHON_SITE))
GDB_AUTO_LOAD ?= $(PREFIX)/share/gdb/auto-load

share := $(PREFIX)/share/tracemortem
site = $(eval site := $$(PYTHON_SITE))$(site)
# gdb goes by the real path of the library.
gdb_hook = $(GDB_AUTO_LOAD)$(site)/tracemortem/_tracer.abi3.so-gdb.py
INSTALL ?= install

.PHONY: install uninstall
install: all
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/lib' '$(DESTDIR)$(site)/tracemortem' '$(DESTDIR)$(share)' \
	    '$(dir $(DESTDIR)$(gdb_hook))'
	$(INSTALL) -m 644 $(ENGINE) '$(DESTDIR)$(PREFIX)/lib/'
	$(INSTALL) -m 644 $(TRACER) '$(DESTDIR)$(site)/tracemortem/'
	for file in $(package_files); do \
	    $(INSTALL) -D -m 644 "$(PACKAGE)/$$file" "$(DESTDIR)$(site)/tracemortem/$$file" || exit 1; done
	echo '$(PREFIX)/lib/$(notdir $(ENGINE))' >'$(DESTDIR)$(site)/tracemortem/engine_path.txt'
	echo 'import os; "TRACEMORTEM" in os.environ and __import__("tracemortem._startup")' \
	    >'$(DESTDIR)$(site)/tracemortem.pth'
	$(INSTALL) -m 644 $(wildcard gdb/*.py lldb/*.py) '$(DESTDIR)$(share)/'
	ln -sfnr '$(DESTDIR)$(site)/tracemortem' '$(DESTDIR)$(share)/tracemortem'
	printf '%s\n' 'import sys' '' 'sys.path.insert(0, "$(share)")' 'import tm_gdb  # noqa: F401' >'$(DESTDIR)$(gdb_hook)'
	chmod 644 '$(DESTDIR)$(site)/tracemortem/engine_path.txt' '$(DESTDIR)$(site)/tracemortem.pth' '$(DESTDIR)$(gdb_hook)'
	@$(PYTHON) -c 'import site, sys; sys.exit(sys.argv[1] not in site.getsitepackages())' '$(site)' || \
	    echo 'Note: $(PYTHON) does not look into $(site) by itself: set PYTHONPATH to it and use python3 -m tracemortem,' \
	    'or install with PREFIX or PYTHON_SITE changed.' >&2

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/lib/$(notdir $(ENGINE))' '$(DESTDIR)$(site)/tracemortem.pth' '$(DESTDIR)$(gdb_hook)'
	rm -rf '$(DESTDIR)$(site)/tracemortem' '$(DESTDIR)$(share)'
	-rmdir -p --ignore-fail-on-non-empty '$(dir $(DESTDIR)$(gdb_hook))'

.PHONY: clean help
clean:
	rm -rf $(BUILD)

help:
	@echo 'make              build the engine, the tracer and the package into build/'
	@echo 'make deps         install what is missing (Debian packages)'
	@echo 'make demo         a service leaks; gdb and lldb tell where'
	@echo 'make test         all tests; also test-engine, test-fuzz, test-python'
	@echo 'make fuzz         hostile input until interrupted; FUZZ_SECONDS=, FUZZ_TARGET='
	@echo 'make check        format, warnings of gcc and clang, cppcheck, syntax of Python 3.8'
	@echo 'make format       let clang-format lay out the C files'
	@echo 'make matrix       the end-to-end tests on other Debians, into docs/compatibility.md; as root, also ROOTS='
	@echo 'make aarch64      the C tests and a core of the other machine, by qemu-user and gdb-multiarch'
	@echo 'make bench        time and memory: untraced, tracemalloc, tracemortem; writes docs/performance.md'
	@echo '                  also QUICK=1, PYTHON=, BENCH_ARGS=--help; bench-deps installs what it measures'
	@echo 'Promises of docs/reliability.md, tested at length; make test has the short forms, make fuzz is one of them:'
	@echo 'make torn         a process stopped at every instruction of the tracer, looked at by the engine (hours)'
	@echo 'make verify       tm-verify: each damage by its name, overwritten tables, the checker inside of the tracer'
	@echo 'make incomplete   cores which lack something: what is shown is a part of the truth (minutes)'
	@echo 'make ways-in      no symbols, no files, containers, decoys, a core of 4 GB'
	@echo 'make fault        the tracer without memory, in storms of signals, threads and forks, under sanitizers'
	@echo 'make regrtest     CPython'\''s own tests, without and with the tracer (an hour)'
	@echo 'make install      to PREFIX=$(PREFIX); also DESTDIR=, PYTHON=, PYTHON_SITE=, GDB_AUTO_LOAD='
	@echo 'make uninstall    with the same variables as install'
	@echo 'make clean        remove build/'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
