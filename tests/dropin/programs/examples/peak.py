# The current size and the peak; then the peak since it was reset (CPython 3.9).
import gc
import tracemalloc

tracemalloc.start()
gc.collect()

large = sum(list(range(100000)))
first_size, first_peak = tracemalloc.get_traced_memory()

if hasattr(tracemalloc, "reset_peak"):
    tracemalloc.reset_peak()
else:
    tracemalloc.clear_traces()

small = sum(list(range(1000)))
second_size, second_peak = tracemalloc.get_traced_memory()

print("%d KiB at most, then %d KiB" % (first_peak // 1024, second_peak // 1024))
print(first_size < 20000, second_size < 20000, first_peak > 10 * second_peak)
