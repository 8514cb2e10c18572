# Fuzzing: libFuzzer on what reads foreign bytes. `make fuzz` continues until it is interrupted, or for FUZZ_SECONDS a
# target, and collects its own corpus in $(FUZZ_FOUND). It keeps crashing inputs there too: run them with `TARGET FILE`.
# `make test` replays the corpus of tests/fuzz and continues from there for a fixed number of executions.

FUZZ_CC ?= clang
FUZZ_SECONDS ?= 0
FUZZ_TARGET ?= $(fuzz_names)
FUZZ_FOUND ?= $(BUILD)/fuzz/found
FUZZ_ARGS ?=
fuzz_names := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
fuzz_programs := $(fuzz_names:%=$(BUILD)/fuzz/%)
fuzz_flags := $(common_flags) -Itests/engine -O1 $(SANITIZE) -fsanitize=fuzzer-no-link
# Its loops over thousands of empty entries would spend most of their time on reporting comparisons with 0 to libFuzzer.
$(BUILD)/fuzz/src/engine/table/walk.o: fuzz_flags += -fno-sanitize-coverage=trace-cmp

$(BUILD)/fuzz/%.o: %.c tests/fuzz/fuzz.mk $(prepared)
	@mkdir -p $(@D) && echo "  CC    $@" && $(FUZZ_CC) -MMD -MP -g $(fuzz_flags) -c -o $@ $<
$(BUILD)/fuzz/libengine.a: $(patsubst %.c,$(BUILD)/fuzz/%.o,$(engine_sources) $(layout_sources) \
    $(checked_process_sources) tests/engine/support/image.c tests/engine/support/stock_image.c tests/engine/support/object_image.c tests/fuzz/fuzz.c) \
    $(BUILD)/obj/page.o
	$(archive)
$(fuzz_programs): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libengine.a
	@echo "  LINK  $@"
	@$(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(engine_libraries)

.PHONY: fuzz test-fuzz
fuzz: $(fuzz_programs)
	@FOUND='$(FUZZ_FOUND)' SECONDS_EACH='$(FUZZ_SECONDS)' ARGS='$(FUZZ_ARGS)' \
	    sh tests/fuzz/fuzz.sh $(FUZZ_TARGET:%=$(BUILD)/fuzz/%)
test-fuzz: $(fuzz_programs)
	@FOUND='$(FUZZ_FOUND)' NEW='$(BUILD)/fuzz/new' sh tests/fuzz/replay.sh $(fuzz_programs)
