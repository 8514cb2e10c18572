# tracemortem: `make help` lists the targets.
#
#   src/engine/   -> build/lib/libtracemortem.so         the engine, loaded by the debuggers
#   src/tracer/   -> build/python/tracemortem/_tracer.abi3.so   the tracer, loaded by the traced program
#   src/python/   -> build/python/tracemortem/           the package
#   src/cli/, src/process/   -> build/bin/tracemortem    the command; needs libdw-dev
#   gdb/ lldb/    are used from where they are
#
# This file has the variables and the list of targets. The rules are in the .mk files of the folders they are about.
#
# Variables for the command line:
#
#   CC CFLAGS LDFLAGS   as everywhere; WERROR=1 turns warnings into errors
#   DEBUG=1             the tracer checks its own table while it runs, and aborts the process if the table is wrong
#   PYTHON              the Python whose headers the tracer is built with, and which `make install` installs for
#   PYTHONS             the CPythons to test; default: all that tests/support/pythons.py finds
#   PREFIX DESTDIR      where `make install` puts things; BINDIR, LIBDIR, INCLUDEDIR, MANDIR, PYTHON_SITE and
#                       GDB_AUTO_LOAD move single parts
#   SOURCE_DATE_EPOCH   the time of the files in a wheel or package; default: that of the last commit
#   TESTS PYTEST_ARGS   files or folders for pytest, and more arguments, as in PYTEST_ARGS='-k diff -x'
#   TEST_JOBS           how many tests run at a time; default: one for each processor
#   ROOTS               the folder of the systems that `make matrix` and `make aarch64` create
#   RUN                 the program that runs the C tests, such as an emulator
#   QUICK BENCH_ARGS    a shorter `make bench`, and more arguments for it

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := all

PYTHON ?= python3
# Runs the tests and the demo: Debian packages pytest for this one.
TEST_PYTHON ?= /usr/bin/python3
TEST_JOBS ?= $(shell nproc)
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BUILD := build

# The targets that install packages: `make -j deps test` compiles nothing before the compiler is installed.
installing := deps
after_deps := $(filter $(installing),$(MAKECMDGOALS))

include src/build.mk
include src/packaging/packaging.mk
include src/packaging/deps.mk
# torn.mk defines what test.mk's rules need, and test.mk what fuzz.mk's need.
include tests/torn/torn.mk
include tests/test.mk
include tests/fuzz/fuzz.mk
include tests/check.mk
include tests/bench/bench.mk
include tests/demo/demo.mk
include tests/matrix/matrix.mk
include tests/aarch64/aarch64.mk

.PHONY: all clean help
all: engine tracer package command $(BUILD)/compile_commands.json

clean:
	rm -rf $(BUILD)

help:
	@cat tests/support/help.txt

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
