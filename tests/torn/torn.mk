# Builds the program that steps a traced Python instruction by instruction and reads its table after each.

torn_program := $(BUILD)/tests/torn/torn
torn_corpus := $(BUILD)/tests/torn/corpus.py
torn_objects := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/torn/*.c)))

$(torn_objects): $(BUILD)/%.o: %.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<
$(torn_program): $(torn_objects) $(call objects,$(engine_sources) $(layout_sources)) $(BUILD)/obj/page.o
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(engine_libraries)
# __LINE__ is replaced with the number of its line.
$(torn_corpus): tests/torn/corpus.py
	@mkdir -p $(@D)
	@awk '{ gsub(/__LINE__/, NR) } 1' $< >$@

# Every instruction, then TORN_CORES cores of random moments of each CPython.
TORN_CORES ?= 100
.PHONY: torn
torn: all $(torn_program) $(torn_corpus)
	@PYTHONS='$(PYTHONS)' $(TEST_PYTHON) tests/torn/run.py
	@TM_CORES='$(TORN_CORES)' $(pytest) --all tests/torn/test_cores.py
