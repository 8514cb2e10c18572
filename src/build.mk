# Builds the engine, the tracer, the package and the command.

ENGINE := $(BUILD)/lib/libtracemortem.so
PACKAGE := $(BUILD)/python/tracemortem
TRACER := $(PACKAGE)/_tracer.abi3.so
PROCESS := $(BUILD)/lib/libtracemortem-process.a
COMMAND := $(BUILD)/bin/tracemortem
# The number changes when a program that was linked with an older engine no longer works with this one.
soname := $(notdir $(ENGINE)).0

layout_sources := $(sort $(wildcard src/layout/*.c))
engine_sources := $(sort $(wildcard src/engine/*.c src/engine/*/*.c))
# The page of `tm-export html`: the engine's own files in it, and the libraries that `make deps` had npm fetch.
page_folder := src/engine/export/page
page_libraries := src/packaging/npm/node_modules
page_source := $(BUILD)/generated/page.c
# Whatever is linked with the engine's files needs these.
engine_libraries := -lz -lm
process_sources := $(sort $(wildcard src/process/*.c))
cli_sources := $(sort $(wildcard src/cli/*.c))
# Of debug builds alone: the tracer then contains the engine, which checks its table.
selfcheck_sources := src/tracer/selfcheck.c
tracer_sources := $(filter-out $(selfcheck_sources),$(sort $(wildcard src/tracer/*.c)))
package_sources := $(sort $(wildcard $(addprefix src/python/tracemortem/,*.py *.pyi */*.py py.typed)))

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes $(if $(WERROR),-Werror)
common_flags := -std=gnu11 $(warnings) -fPIC -fvisibility=hidden -fstack-protector-strong -Isrc
hardening := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# What is built in one folder has the same bytes as what is built in another.
same_bytes := -ffile-prefix-map='$(CURDIR)'=.
engine_flags := $(common_flags) $(hardening) $(same_bytes) -include src/packaging/old_glibc.h
# Empty with another C library, such as musl.
glibc := $(shell $(CC) $(CPPFLAGS) -dM -E -include features.h -x c /dev/null | grep __GLIBC__)

# Every allocation of the traced program goes through the tracer. With initial-exec it reaches its thread-local
# variables without a call, and without interposition it calls its own functions directly. musl refuses initial-exec in
# a library that comes by dlopen(), as an imported tracer does.
tracer_flags = $(engine_flags) $(if $(glibc),-ftls-model=initial-exec) -fno-semantic-interposition \
    -DTRACEMORTEM_VERSION='"$(version)"' $(python_include)

# In an old glibc some functions are in these; in a new one they are empty. They are needed by name, so that they are
# loaded into every program that the tracer is preloaded into. Only glibc has them.
old_libraries = $(if $(glibc), \
    -Wl$(comma)--push-state$(comma)--no-as-needed -l:libdl.so.2 -l:libpthread.so.0 -Wl$(comma)--pop-state, -lpthread)
comma := ,

ifdef DEBUG
tracer_sources += $(selfcheck_sources)
tracer_flags += -DTRACEMORTEM_SELFCHECK
tracer_checker := $(BUILD)/lib/libchecker.a
tracer_checker_libraries := $(engine_libraries)
tracer_link_flags := -Wl,--exclude-libs,ALL
endif

version := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/python/tracemortem/__init__.py)

# The directory with Python.h: $(PYTHON)'s, or else Debian's. Looked up on first use, which is after `make deps`.
# The headers of a free-threaded build do not do: they lack the limited API.
python_include = $(eval python_include := $$(addprefix -isystem ,$$(find_python_include)))$(or \
    $(python_include),$(error no Python.h: try `make deps`))
find_python_include = $(shell for python in $(PYTHON) /usr/bin/python3; do \
    dir=$$($$python -c 'import sysconfig as s; s.get_config_var("Py_GIL_DISABLED") or print(s.get_path("include"))' \
        2>/dev/null) && test -f "$$dir/Python.h" && echo "$$dir" && break; done)

# This file changes, and all objects are rebuilt, when the compiler or the flags change.
flags_now := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(WERROR) $(DEBUG)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags_now)' | cmp -s - $@ || echo '$(flags_now)' >$@
.PHONY: FORCE
FORCE:

# To be the last prerequisites of a rule: what follows the bar makes nothing newer.
prepared := Makefile src/build.mk $(BUILD)/flags | $(after_deps)
compile = @mkdir -p $(@D) && echo "  CC    $@" && $(CC) -MMD -MP $(CPPFLAGS) $(CFLAGS)
# Files of different folders have the same name: P makes ar compare whole paths.
archive = @mkdir -p $(@D) && rm -f $@ && $(AR) rcsP $@ $^
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))

.PHONY: engine tracer package command static
engine: $(ENGINE)
tracer: $(TRACER)
package: $(package_sources:src/python/%=$(BUILD)/python/%)

# The code of src/layout/ is part of the engine and of the tracer.
$(BUILD)/obj/layout/%.o: src/layout/%.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<

$(BUILD)/obj/engine/%.o: src/engine/%.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<

# Made each time, as libraries may have come or gone; what did not change is not built again.
$(page_source): FORCE | $(after_deps)
	@$(PYTHON) $(page_folder)/make_page.py $(page_libraries) $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/obj/page.o: $(page_source) $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<

# The link beside it is the name by which a program that was linked with the engine loads it.
$(ENGINE): $(call objects,$(engine_sources) $(layout_sources)) $(BUILD)/obj/page.o
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(soname) -Wl,-z,defs -Wl,-z,relro -Wl,-z,now $(LDFLAGS) -o $@ $^ \
	    $(engine_libraries)
	@ln -sf $(@F) $(@D)/$(soname)

# The command reads cores and processes with elfutils' libdw. The rest is built without it, too: whether it is there is
# known only after `make deps`. What another make builds comes first, so that no two of them build the same file.
has_libdw = $(CC) $(CPPFLAGS) -E -include elfutils/libdwfl.h -x c /dev/null >/dev/null 2>&1
command: engine $(prepared)
	@if $(has_libdw); then $(MAKE) --no-print-directory $(COMMAND); else \
	    echo "make: without libdw-dev (elfutils) the command $(COMMAND) is not built; try: make deps"; fi
static: command $(prepared)
	@$(MAKE) --no-print-directory $(COMMAND)-static

$(BUILD)/obj/process/%.o: src/process/%.c $(prepared)
	$(compile) $(engine_flags) -c -o $@ $<
$(BUILD)/obj/cli/%.o: src/cli/%.c $(prepared)
	$(compile) $(engine_flags) -DTRACEMORTEM_VERSION='"$(version)"' -c -o $@ $<

$(PROCESS): $(call objects,$(process_sources))
	$(archive)

command_parts := $(call objects,$(cli_sources)) $(PROCESS) $(call objects,$(engine_sources) $(layout_sources)) \
    $(BUILD)/obj/page.o
$(COMMAND): $(command_parts)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -pie -Wl,-z,relro -Wl,-z,now $(LDFLAGS) -o $@ $^ -ldw -lelf $(engine_libraries)
# What is in the static file in place of libcurl.
$(BUILD)/obj/cli/post-static.o: src/cli/post.c $(prepared)
	$(compile) $(engine_flags) -DTRACEMORTEM_STATIC -c -o $@ $<
# One file that runs where there is nothing else, such as in a container without libraries. libdw.a can ask a server for
# debug information with a library that it loads; we never let it.
$(COMMAND)-static: $(command_parts:$(BUILD)/obj/cli/post.o=$(BUILD)/obj/cli/post-static.o)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -static $(LDFLAGS) -o $@ $^ -ldw -lelf -lbz2 -llzma $(engine_libraries)

$(BUILD)/obj/tracer/%.o: src/tracer/%.c $(prepared)
	$(compile) $(tracer_flags) -c -o $@ $<

# Without libpython: its symbols are the interpreter's, or missing when the tracer is preloaded into another program.
$(TRACER): $(call objects,$(tracer_sources) $(layout_sources)) $(tracer_checker)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro $(tracer_link_flags) $(LDFLAGS) -o $@ $^ $(tracer_checker_libraries) \
	    $(old_libraries)

$(BUILD)/lib/libchecker.a: $(call objects,$(engine_sources)) $(BUILD)/obj/page.o
	$(archive)

$(BUILD)/python/%: src/python/%
	@mkdir -p $(@D)
	@cp $< $@

# A module that is gone from src/python/ is not importable from build/ either.
stale_modules := $(filter-out $(package_sources:src/python/%=$(BUILD)/python/%),$(wildcard $(PACKAGE)/*.py $(PACKAGE)/*/*.py))
ifneq ($(stale_modules),)
.PHONY: remove-stale-modules
package: remove-stale-modules
remove-stale-modules:
	@rm -f $(stale_modules)
endif

# For editors (clangd): how each C file is compiled. A folder is newer when a file came or went.
$(BUILD)/compile_commands.json: $(sort $(wildcard src/*/ src/*/*/ tests/*/ tests/*/*/)) $(prepared)
	$(file >$@,[)
	$(foreach file,$(filter-out $(lastword $(c_sources)),$(c_sources)),$(file >>$@,$(call command_of,$(file)),))
	$(file >>$@,$(call command_of,$(lastword $(c_sources)))])
command_of = {"directory": "$(CURDIR)", "file": "$(1)", "command": "$(subst ",\",$(CC) $(check_flags) -c $(1))"}
