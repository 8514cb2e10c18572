"""tracemortem: tracemalloc for a process which is dead, stuck, or not to be touched.

In a traced process this package is a drop-in for tracemalloc over the tracer `_tracer`. In a debugger it is what the
front ends share (tracemortem.debugger), and then the tracer must stay out: nothing is loaded before it is asked for.
"""

__version__ = "0.1.0"

# What comes from the tracer, by tracemalloc's names.
_TRACER = (
    "clear_traces",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "is_tracing",
    "reset_peak",
    "start",
    "stop",
)

# What is the standard library's own.
_TRACEMALLOC = (
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "Trace",
    "Traceback",
)

__all__ = sorted(_TRACER + _TRACEMALLOC + ("get_object_traceback", "install", "take_snapshot"))


def __getattr__(name):
    """Load the tracer, or tracemalloc, when something of it is first used."""
    if name in _TRACER:
        from . import _tracer as module
    elif name in _TRACEMALLOC:
        import tracemalloc as module
    else:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    value = globals()[name] = getattr(module, name)
    return value


def take_snapshot():
    """A tracemalloc.Snapshot of all memory blocks traced now, as tracemalloc.take_snapshot() gives it."""
    import tracemalloc

    from . import _tracer

    if not _tracer.is_tracing():
        raise RuntimeError("tracemortem must be tracing memory allocations to take a snapshot")
    return tracemalloc.Snapshot(_tracer._get_traces(), _tracer.get_traceback_limit())


def get_object_traceback(obj):
    """The tracemalloc.Traceback of where an object was allocated, or None if its block is not traced."""
    import tracemalloc

    from . import _tracer

    frames = _tracer._get_object_traceback(obj)
    return None if frames is None else tracemalloc.Traceback(frames)


def install():
    """Put the tracer in the place of CPython's own `_tracemalloc`, for all code which uses tracemalloc."""
    import sys

    from . import _tracer

    sys.modules["_tracemalloc"] = _tracer
    tracemalloc = sys.modules.get("tracemalloc")
    if tracemalloc is not None:
        for name in _TRACER + ("_get_traces", "_get_object_traceback"):
            setattr(tracemalloc, name, getattr(_tracer, name))


def __dir__():
    return sorted(set(globals()) | set(__all__))
