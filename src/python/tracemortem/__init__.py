"""tracemortem: tracemalloc for a process that is dead, stuck, or not to be touched.

This package is a drop-in for tracemalloc: it has the same functions and classes, over the tracer `_tracer`. What the
debuggers import is the subpackage tracemortem.debugger. A debugger must not load the tracer, and a traced process must
not load more than it needs; so importing this package loads nothing else.
"""

TYPE_CHECKING = False  # mypy takes it for typing's, which a traced process need not import
if TYPE_CHECKING:
    from tracemalloc import Snapshot, Traceback  # noqa: F401
    from typing import List, Optional  # noqa: F401

__version__ = "0.1.0"

# These come from the tracer, by tracemalloc's names.
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

# These are the standard library's own.
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


def __getattr__(name: str) -> object:
    """Load the tracer, or tracemalloc, when one of its names is first used."""
    module: object
    if name in _TRACER:
        from . import _tracer

        module = _tracer
    elif name in _TRACEMALLOC:
        import tracemalloc

        module = tracemalloc
    else:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    value = globals()[name] = getattr(module, name)
    return value


# The types of these two are comments, so that inspect.signature() shows the same as for tracemalloc.
def take_snapshot():
    # type: () -> Snapshot
    """A tracemalloc.Snapshot of all traced memory blocks, as tracemalloc.take_snapshot() makes it."""
    import tracemalloc

    from . import _tracer

    if not _tracer.is_tracing():
        raise RuntimeError("tracemortem must be tracing memory allocations to take a snapshot")
    return tracemalloc.Snapshot(_tracer._get_traces(), _tracer.get_traceback_limit())


def get_object_traceback(obj):
    # type: (object) -> Optional[Traceback]
    """The tracemalloc.Traceback of where an object was allocated, or None if its block is not traced."""
    import tracemalloc

    from . import _tracer

    frames = _tracer._get_object_traceback(obj)
    return None if frames is None else tracemalloc.Traceback(frames)


def install() -> None:
    """Replace CPython's own `_tracemalloc` by the tracer, for all code that uses tracemalloc."""
    import sys

    from . import _tracer

    sys.modules["_tracemalloc"] = _tracer
    loaded = sys.modules.get("tracemalloc")
    if loaded is not None:
        for name in _TRACER + ("_get_traces", "_get_object_traceback"):
            setattr(loaded, name, getattr(_tracer, name))


def __dir__() -> "List[str]":
    return sorted(set(globals()) | set(__all__))
