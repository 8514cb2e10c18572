# Checks the sources: `make deps check`.

c_sources := $(selfcheck_sources) $(layout_sources) $(engine_sources) $(process_sources) $(cli_sources) \
    $(filter-out $(selfcheck_sources),$(tracer_sources)) $(sort $(wildcard tests/*/*.c tests/*/*/*.c))
c_files := $(c_sources) $(sort $(wildcard src/*/*.h src/*/*/*.h tests/*/*.h tests/*/*/*.h))
python_files = $(shell find gdb lldb src tests -name '*.py' | sort)
# Not the programs that tests trace: there the number of a line is part of the test.
formatted_files = $(filter-out tests/torn/corpus.py,$(shell find gdb lldb src tests -name '*.py' -not -path '*/programs/*'))

.PHONY: check check-format check-gcc check-clang check-cppcheck check-python check-rooms check-words check-glibc format
check: check-format check-gcc check-clang check-cppcheck check-python check-rooms check-words check-glibc

black := black --quiet --line-length 120 --target-version py38
check-format:
	clang-format --dry-run -Werror $(c_files)
	$(black) --check $(formatted_files) || { $(black) --diff $(formatted_files); exit 1; }
	isort --quiet --check-only --diff $(formatted_files)

format:
	clang-format -i $(c_files)
	$(black) $(formatted_files)
	isort --quiet $(formatted_files)

# The tracer's flags and the tests' together suit every file.
check_flags = $(filter-out -Werror,$(tracer_flags)) -Werror -O2 -Itests/engine
check-gcc: $(c_sources:%.c=$(BUILD)/check/gcc/%.o)
check-clang: $(c_sources:%.c=$(BUILD)/check/clang/%.o)
$(BUILD)/check/gcc/%.o: %.c tests/check.mk $(prepared)
	@mkdir -p $(@D) && echo "  GCC   $<" && gcc -MMD -MP $(check_flags) -c -o $@ $<
$(BUILD)/check/clang/%.o: %.c tests/check.mk $(prepared)
	@mkdir -p $(@D) && echo "  CLANG $<" && clang -MMD -MP $(check_flags) -c -o $@ $<

check-cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem -Isrc $(layout_sources) $(engine_sources) $(process_sources) \
	    $(cli_sources) $(tracer_sources)

# Old debuggers embed old Pythons: all code is in the syntax of 3.8.
check-python:
	$(TEST_PYTHON) tests/support/check_syntax.py $(python_files)
	$(TEST_PYTHON) -m flake8
	mypy

# Includes point from higher folders to lower ones only.
check-rooms:
	$(TEST_PYTHON) tests/support/check_rooms.py

# Texts are in plain English.
check-words:
	$(TEST_PYTHON) tests/support/check_words.py

# The tracer loads into programs of old systems; gdb and lldb there load the engine.
check-glibc: $(TRACER) $(ENGINE)
	$(TEST_PYTHON) src/packaging/glibc_needs.py --at-most 2.17 $(TRACER)
	$(TEST_PYTHON) src/packaging/glibc_needs.py --at-most 2.28 $(ENGINE)
