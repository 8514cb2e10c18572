# Measures. PYTHON may be several Pythons. QUICK=1 takes two minutes and does not change docs/performance.md.

.PHONY: bench
bench: all
	@$(TEST_PYTHON) tests/bench/bench.py $(if $(QUICK),--quick) \
	    $(if $(filter file,$(origin PYTHON)),,$(PYTHON:%=--python %)) $(BENCH_ARGS)
