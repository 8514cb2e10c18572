"""Prints what `tracemalloc`, or the module named by the argument, offers and how it behaves in edge cases."""

import importlib
import inspect
import pickle
import sys
import tracemalloc

module = importlib.import_module(sys.argv[1] if len(sys.argv) > 1 else "tracemalloc")


def attempt(what, function, *arguments, **named):
    try:
        result = function(*arguments, **named)
    except Exception as error:
        # The words of errors about arguments differ between the ways to parse them.
        text = "" if isinstance(error, (TypeError, OverflowError)) else str(error)
        print("%s: %s %s" % (what, type(error).__name__, text.replace("the tracemalloc module", "tracemortem")))
    else:
        print("%s: %r" % (what, result))


def of_tracemalloc(value):
    if value is getattr(tracemalloc, "reset_peak", None) and sys.version_info < (3, 9):
        return False  # our module has it there, too
    return getattr(value, "__module__", None) in ("tracemalloc", "_tracemalloc", "tracemortem", "tracemortem._tracer")


print("names, signatures")
offered = {name: value for name, value in vars(tracemalloc).items() if name[0] != "_" and of_tracemalloc(value)}
for name in sorted(offered):
    value = getattr(module, name)
    signature = inspect.signature(value) if name != "BaseFilter" else ""
    print(name, signature, bool(value.__doc__) == bool(offered[name].__doc__))
    for attribute in sorted(vars(value)) if inspect.isclass(value) else ():
        if attribute[0] != "_":
            print("   ", attribute)

print("off")
module.stop()
module.stop()
attempt("is_tracing", module.is_tracing)
attempt("get_traced_memory", module.get_traced_memory)
attempt("take_snapshot", module.take_snapshot)
attempt("get_object_traceback", module.get_object_traceback, object())
attempt("clear_traces", module.clear_traces)
attempt("limits of tracers", lambda: module.get_tracemalloc_memory() >= 0)
if sys.version_info >= (3, 9):
    attempt("reset_peak", module.reset_peak)
import _tracemalloc  # noqa: E402

attempt("_get_traces", _tracemalloc._get_traces)
attempt("_get_object_traceback", _tracemalloc._get_object_traceback, object())

print("wrong")
# CPython 3.8 has another upper limit, and its message names it.
for argument in (0, -1, 65536) if sys.version_info >= (3, 9) else ():
    attempt("start(%r)" % argument, module.start, argument)
for argument in (2 ** 31, -(2 ** 31) - 1, 2 ** 70, "1", 1.5, None, (1,), [1]):
    attempt("start(%r)" % (argument,), module.start, argument)
attempt("start(1, 2)", module.start, 1, 2)
attempt("start(nframe=1)", module.start, nframe=1)
for name in ("stop", "is_tracing", "clear_traces", "get_traced_memory", "get_traceback_limit", "take_snapshot"):
    attempt(name, getattr(module, name), 1)
attempt("get_object_traceback()", module.get_object_traceback)
attempt("is_tracing", module.is_tracing)

print("on")
for argument in (1, 7, 65535, True):
    attempt("start(%r)" % argument, module.start, argument)
    attempt("limit", module.get_traceback_limit)
    attempt("start(3), while on", module.start, 3)
    attempt("limit", module.get_traceback_limit)
    attempt("is_tracing", module.is_tracing)
    module.stop()
    attempt("limit, off", module.get_traceback_limit)
attempt("start()", module.start)
attempt("limit", module.get_traceback_limit)
before = bytearray(5000)
attempt("start(5)", module.start, 5)
attempt("get_object_traceback", lambda: len(module.get_object_traceback(before)))
for _ in range(3):
    module.clear_traces()
    attempt("after clear_traces", module.get_traced_memory)
attempt("get_object_traceback, cleared", module.get_object_traceback, before)
attempt("a static object", module.get_object_traceback, int)
attempt("a number of old", module.get_object_traceback, 1)
attempt("nothing at all", module.get_object_traceback, None)
module.stop()

print("peak")
module.start()
block = bytearray(1 << 20)
high = module.get_traced_memory()
del block
low = module.get_traced_memory()
attempt("peak stays", lambda: (high[0] >= 1 << 20, low[0] < 1 << 20, low[1] >= 1 << 20))
if sys.version_info >= (3, 9):
    module.reset_peak()
    after = module.get_traced_memory()
    attempt("reset", lambda: (after[1] < 1 << 20, after[1] >= after[0]))
module.clear_traces()
attempt("cleared", module.get_traced_memory)
module.stop()

print("snapshot")
module.start(10)


def make():
    return [bytearray(1000 + i) for i in range(5)]


kept = make()
traceback = module.get_object_traceback(kept[3])
snapshot = module.take_snapshot()
module.stop()
print(type(snapshot).__name__, snapshot.traceback_limit, type(snapshot) is tracemalloc.Snapshot)
print(type(traceback) is tracemalloc.Traceback, [(frame.filename, frame.lineno) for frame in traceback])
print(getattr(traceback, "total_nframe", None))
print("\n".join(traceback.format()))
print("\n".join(traceback.format(limit=1, most_recent_first=True)), traceback.format(limit=-1))
own = snapshot.filter_traces([tracemalloc.Filter(True, __file__)])
trace = max((trace for trace in own.traces if 1000 < trace.size < 2000), key=lambda trace: trace.size)
print(str(trace), trace.size, trace.domain, type(trace.traceback[0]).__name__)
# Equal tracebacks are one object: a snapshot's memory depends on that.
tuples = [trace[2] for trace in own.traces._traces]
print(len({id(item) for item in tuples}) == len(set(tuples)))
again = pickle.loads(pickle.dumps(snapshot))
print(again.traces._traces == snapshot.traces._traces, again.traceback_limit)
