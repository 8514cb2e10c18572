# Runs the end-to-end tests on other Debians, each a folder below $(ROOTS); as root, not part of `make test`.

ROOTS ?= $(BUILD)/roots

.PHONY: matrix
matrix: all
	$(TEST_PYTHON) tests/matrix/matrix.py --roots '$(ROOTS)' --here $(MATRIX_ARGS)
