# Runs the tests: the engine's by cmocka under the sanitizers, then everything else by pytest. tests/README.md has the
# table of what runs where.

test_sources := $(sort $(wildcard tests/engine/*/test_*.c tests/layout/test_*.c tests/process/test_*.c))
# What needs no libdw.
checked_process_sources := $(filter-out src/process/process.c src/process/symbols.c src/process/exported.c,$(process_sources))
# A fake replaces a part of the engine: it is linked into the tests that include its header (or the harness) only.
test_fakes := $(sort $(wildcard tests/engine/support/fake_*.c))
fake_header := \#include "support/(harness|fake_[a-z_]*)\.h"
tests_with_fakes := $(shell grep -lE '$(fake_header)' $(test_sources) /dev/null)
test_support := $(filter-out $(test_fakes),$(sort $(wildcard tests/engine/support/*.c)))

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
test_flags := $(common_flags) -Itests/engine -O1 $(SANITIZE)
test_programs := $(test_sources:%.c=$(BUILD)/%)
checked_engine := $(BUILD)/sanitized/libengine.a
checked_support := $(BUILD)/sanitized/libsupport.a

$(BUILD)/sanitized/%.o: %.c tests/test.mk $(prepared)
	$(compile) $(test_flags) -c -o $@ $<

# Archives: where a test or a fake defines a function itself, the engine's file with the same function is not linked.
$(checked_engine): $(patsubst %.c,$(BUILD)/sanitized/%.o,$(engine_sources) $(layout_sources) $(checked_process_sources)) \
    $(BUILD)/obj/page.o
	$(archive)
$(checked_support): $(test_support:%.c=$(BUILD)/sanitized/%.o)
	$(archive)

$(tests_with_fakes:%.c=$(BUILD)/%): $(test_fakes:%.c=$(BUILD)/sanitized/%.o)
# A fake comes first, and is what counts: the engine's file with the same function may be linked for its other functions.
$(tests_with_fakes:%.c=$(BUILD)/%): LDFLAGS += -Wl,-z,muldefs
$(test_programs): $(BUILD)/%: $(BUILD)/sanitized/%.o $(checked_support) $(checked_engine)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(engine_libraries)

# The engine with all its functions visible, for commands/test_against_tracemalloc.py.
open_engine := $(BUILD)/open/libengine.a $(BUILD)/open/tests/engine/support/fake_source.o
$(BUILD)/open/%.o: %.c tests/test.mk $(prepared)
	$(compile) $(filter-out -fvisibility=hidden,$(common_flags)) -Itests/engine -O1 -c -o $@ $<
$(BUILD)/obj/open_page.o: $(page_source) $(prepared)
	$(compile) $(filter-out -fvisibility=hidden,$(common_flags)) -O1 -c -o $@ $<
$(BUILD)/open/libengine.a: $(patsubst %.c,$(BUILD)/open/%.o,$(engine_sources) $(layout_sources)) $(BUILD)/obj/open_page.o
	$(archive)
.PHONY: open-engine
open-engine: $(open_engine)

# Make again, in parallel unless it was given a number of jobs already. What a test prints is not mixed with other lines,
# and a failed one does not keep the others from running.
make_all = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(TEST_JOBS)) -k --output-sync=target all
for_pytest := open-engine $(torn_program) $(torn_corpus)
pytest := PYTHONS='$(PYTHONS)' PYTHONDONTWRITEBYTECODE=1 $(TEST_PYTHON) -m pytest -q -rs -p no:cacheprovider

.PHONY: quick test test-all test-engine test-python
# The C tests, and with the newest CPython in gdb what users meet first.
quick_tests := $(addprefix tests/,e2e dropin layout snapshot/test_saving.py) \
    $(patsubst %,tests/frontend/test_%.py,commands core_file expression memory)
quick: $(after_deps)
	+@$(make_all) test-engine $(for_pytest)
	@$(MAKE) --no-print-directory test-python SELECTION=--quick TESTS='$(quick_tests)'

# The C tests are first, under -j too: their failures are nearer to the cause.
test: $(after_deps)
	+@$(make_all) test-engine test-fuzz $(for_pytest)
	@$(MAKE) --no-print-directory test-python

test-all: $(after_deps)
	@$(MAKE) --no-print-directory test SELECTION=--all

runs := $(test_programs:%=run-%)
.PHONY: $(runs)
test-engine: $(runs)
$(runs): run-%: %
	@echo "$<"; $(RUN) $<

test-python: $(after_deps)
	+@$(make_all) $(for_pytest)
	@echo "CPythons:"; PYTHONS='$(PYTHONS)' $(TEST_PYTHON) tests/support/pythons.py | sed 's/^/    /'
	@$(pytest) -n $(TEST_JOBS) --dist loadfile $(SELECTION) $(or $(TESTS),tests) $(PYTEST_ARGS)

# What docs/reliability.md promises, each promise alone and at length. `make test` has the short forms. `make torn` and
# `make fuzz` are in the folders of their tests.
.PHONY: verify incomplete ways-in switch fault sampled recorded regrtest
verify: all $(BUILD)/tests/engine/verify/test_verify
	@$(BUILD)/tests/engine/verify/test_verify
	@TM_TEST_FULL=1 $(pytest) --all tests/tracer/test_selfcheck.py tests/incomplete/test_overwritten.py
incomplete: all
	@TM_TEST_FULL=1 $(pytest) --all tests/incomplete/test_parts.py tests/incomplete/test_zeros.py
ways-in: all
	@TM_TEST_FULL=1 $(pytest) --all tests/incomplete/test_ways_in.py tests/incomplete/test_without_files.py
switch: all
	@TM_TEST_FULL=1 $(pytest) --all -n $(TEST_JOBS) tests/switch
fault: all
	@$(pytest) --all tests/fault tests/tracer/test_sanitized.py
sampled: all
	@TM_TRIALS=$${TM_TRIALS:-100} $(pytest) --all -s tests/sampled -k estimates
recorded: all
	@TM_TEST_FULL=1 $(pytest) --all tests/recorder
regrtest: all
	@$(TEST_PYTHON) tests/regrtest/regrtest.py --logs $(BUILD)/regrtest $(REGRTEST_ARGS)
.PHONY: estimates
estimates: all
	@$(TEST_PYTHON) tests/estimates/sampling.py $(ESTIMATES_ARGS)
