# Installs what build/ has:
#
#   $(PREFIX)/lib/libtracemortem.so         the engine; engine_path.txt in the package has its path
#   $(PYTHON_SITE)/tracemortem/             the package with the tracer
#   $(PYTHON_SITE)/tracemortem.pth          the start-up hook: does nothing unless TRACEMORTEM is in the environment
#   $(PREFIX)/share/tracemortem/            the debuggers' scripts, and a link to the package beside them
#   $(GDB_AUTO_LOAD)/$(PYTHON_SITE)/tracemortem/_tracer.abi3.so-gdb.py
#                                           has gdb load tm_gdb.py when it meets a process with the tracer

# The first of the directories in which $(PYTHON) looks for packages that is below $(PREFIX)/lib.
PYTHON_SITE ?= $(or $(shell $(PYTHON) src/find_site.py '$(PREFIX)'), \
    $(error $(PYTHON) cannot tell where its packages are: set PYTHON_SITE))
GDB_AUTO_LOAD ?= $(PREFIX)/share/gdb/auto-load
INSTALL ?= install

share := $(PREFIX)/share/tracemortem
site = $(eval site := $$(PYTHON_SITE))$(site)
# gdb goes by the real path of the library.
gdb_hook = $(GDB_AUTO_LOAD)$(site)/tracemortem/_tracer.abi3.so-gdb.py
installed_files = $(TRACER) $(package_sources:src/python/%=$(BUILD)/python/%)

.PHONY: install uninstall
install: all
	@DESTDIR='$(DESTDIR)' LIB='$(PREFIX)/lib' SITE='$(site)' SHARE='$(share)' GDB_HOOK='$(gdb_hook)' \
	    INSTALL='$(INSTALL)' PYTHON='$(PYTHON)' sh src/install.sh $(ENGINE) $(installed_files)

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/lib/$(notdir $(ENGINE))' '$(DESTDIR)$(site)/tracemortem.pth' '$(DESTDIR)$(gdb_hook)'
	rm -rf '$(DESTDIR)$(site)/tracemortem' '$(DESTDIR)$(share)'
	-rmdir -p --ignore-fail-on-non-empty '$(dir $(DESTDIR)$(gdb_hook))'
