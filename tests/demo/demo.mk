# Shows a leaking service under gdb and lldb.

.PHONY: demo
demo: all
	@PYTHON='$(if $(filter file,$(origin PYTHON)),$(TEST_PYTHON),$(PYTHON))' $(TEST_PYTHON) tests/demo/demo.py
