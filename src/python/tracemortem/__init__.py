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

__all__ = list(_TRACER)


def __getattr__(name):
    """Load the tracer when something of it is first used."""
    if name not in _TRACER:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    from . import _tracer

    value = globals()[name] = getattr(_tracer, name)
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
