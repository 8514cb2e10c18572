# The other machine: Debian's gcc-aarch64-linux-gnu compiles, qemu-user runs the C tests, and gdb-multiarch with the
# engine of this machine reads the other one's cores. As root, not part of `make test`. The sanitizers do not run under
# qemu-user.

arm64 := $(abspath $(ROOTS))/arm64
$(arm64)/usr/bin/python3.11:
	sh tests/aarch64/make_root.sh '$(arm64)'

.PHONY: aarch64
aarch64: all $(arm64)/usr/bin/python3.11
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc SANITIZE= WERROR=1 \
	    CPPFLAGS='-idirafter $(arm64)/usr/include' LDFLAGS='-L$(arm64)' \
	    python_include='-isystem $(arm64)/usr/include/python3.11' RUN='qemu-aarch64 -L $(arm64)' engine tracer test-engine
	TM_AARCH64='$(arm64)' TM_TEST_GDB=gdb-multiarch $(TEST_PYTHON) -m pytest tests/aarch64 -q -p no:cacheprovider
