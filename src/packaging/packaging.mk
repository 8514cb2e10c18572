# Installs what build/ has, and packs it:
#
#   $(LIBDIR)/libtracemortem.so.VERSION     the engine; engine_path.txt in the package has its path
#   $(LIBDIR)/libtracemortem.so.0, .so      links to it: for programs that were linked with it, and to link with it
#   $(LIBDIR)/pkgconfig/tracemortem.pc
#   $(INCLUDEDIR)/tracemortem.h
#   $(BINDIR)/tracemortem                   the command, if it was built; and its completion for bash, zsh and fish
#   $(MANDIR)/man1/                         pages of the commands and the launcher; none if MANDIR is empty
#   $(PYTHON_SITE)/tracemortem/             the package with the tracer
#   $(PYTHON_SITE)/tracemortem-VERSION.dist-info/
#   $(PYTHON_SITE)/tracemortem.pth          the start-up hook: does nothing unless TRACEMORTEM is in the environment
#   $(PREFIX)/share/tracemortem/            the debuggers' scripts, and a link to the package beside them;
#                                           front_ends_path.txt in the package has this path
#   $(GDB_AUTO_LOAD)/$(PYTHON_SITE)/tracemortem/_tracer.abi3.so-gdb.py
#                                           has gdb load tm_gdb.py when it meets a process with the tracer

BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
# The first of the directories in which $(PYTHON) looks for packages that is below $(PREFIX)/lib.
PYTHON_SITE ?= $(or $(shell $(PYTHON) src/packaging/find_site.py '$(PREFIX)'), \
    $(error $(PYTHON) cannot tell where its packages are: set PYTHON_SITE))
GDB_AUTO_LOAD ?= $(PREFIX)/share/gdb/auto-load
INSTALL ?= install

site = $(eval site := $$(PYTHON_SITE))$(site)
placing = VERSION='$(version)' SONAME='$(soname)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' \
    INCLUDEDIR='$(INCLUDEDIR)' MANDIR='$(MANDIR)' SITE='$(site)' GDB_AUTO_LOAD='$(GDB_AUTO_LOAD)' \
    INSTALL='$(INSTALL)' PYTHON='$(PYTHON)' BUILD='$(BUILD)'

.PHONY: install uninstall wheel deb man
install: all $(if $(MANDIR),man)
	@$(placing) sh src/packaging/install.sh
uninstall:
	@$(placing) sh src/packaging/uninstall.sh

man_made := $(BUILD)/man/made
man: $(man_made)
$(man_made): $(ENGINE) $(wildcard $(COMMAND)) src/packaging/man_pages.py src/python/tracemortem/__main__.py \
    | package command
	@rm -rf $(@D)
	$(PYTHON) src/packaging/man_pages.py $(ENGINE) $(COMMAND) $(PACKAGE) '$(version)' $(@D)
	@touch $@

# The time that packed files have: the last commit's, so that the same sources give the same bytes.
epoch = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1577836800)

# One file for pip, with everything in it; python3-wheel packs it.
wheel: all
	@BUILD='$(BUILD)' VERSION='$(version)' SONAME='$(soname)' PYTHON='$(WHEEL_PYTHON)' STRIP='$(STRIP)' \
	    MACHINE='$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))' SOURCE_DATE_EPOCH='$(epoch)' \
	    sh src/packaging/wheel.sh
WHEEL_PYTHON ?= /usr/bin/python3
STRIP ?= strip

# A package for dpkg, without debhelper. src/packaging/debian/ is for dpkg-buildpackage.
deb: all man
	@BUILD='$(BUILD)' VERSION='$(version)' MAKE='$(MAKE) --no-print-directory' STRIP='$(STRIP)' \
	    MULTIARCH='$(shell $(CC) -print-multiarch)' SOURCE_DATE_EPOCH='$(epoch)' sh src/packaging/deb.sh
