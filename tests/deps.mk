# Installs Debian packages. Without a missing package, apt-get is not called.

# What the build, the demo and the tests need.
test_packages := gcc libc6-dev make clang libclang-rt-dev python3-dev gdb lldb-19 python3-lldb-19 libcmocka-dev \
    python3-pytest python3-pytest-xdist python3-numpy python3-greenlet python3.11-dbg libpython3.11-testsuite procps \
    binutils
# What `make check` needs beside them.
check_packages := clang-format cppcheck black isort python3-flake8 mypy
# The applications that `make bench` runs where it finds them.
bench_packages := python3-docutils python3-jinja2 python3-mako python3-pygments python3-sympy python3-networkx \
    python3-django

.PHONY: $(installing)
deps:
	@sh tests/support/install_packages.sh $(test_packages)
check-deps:
	@sh tests/support/install_packages.sh $(test_packages) $(check_packages)
bench-deps:
	@sh tests/support/install_packages.sh $(test_packages) $(bench_packages)
