# Installs what the other targets of the command line need, as in `make deps demo`; packages.txt has the packages. npm
# fetches the JavaScript libraries.

needs_of_test := build demo wheel test
needs_of_test-all := $(needs_of_test) test-all
needs_of_check := $(needs_of_test) check
needs_of_bench := $(needs_of_test) bench
needs_of_demo := build demo
needs_of_wheel := build wheel
needs_of_all := build
needs_of_install := build

with_needs := $(filter all install wheel demo test test-all check bench,$(MAKECMDGOALS))
# Another target is a test of its own; `make deps` alone is for somebody who begins.
other_targets := $(filter-out deps $(with_needs),$(MAKECMDGOALS))
needs := $(foreach target,$(with_needs),$(needs_of_$(target))) $(if $(with_needs),$(if $(other_targets),$(needs_of_test)), \
    $(needs_of_test))

.PHONY: deps packages
deps:
	@sh src/packaging/packages.sh install $(call unique,$(needs))
	@sh src/packaging/npm.sh $(if $(filter test-all,$(needs)),tests,page)
packages:
	@sh src/packaging/packages.sh list build demo wheel test test-all check bench
unique = $(if $(1),$(firstword $(1)) $(call unique,$(filter-out $(firstword $(1)),$(1))))
