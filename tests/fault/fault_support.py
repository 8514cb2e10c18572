"""What the tests of faults share: running a program, traced or not, and checking what must hold for its table."""

import os

import debuggers
import looking

HERE = os.path.dirname(os.path.realpath(__file__))


def program(name):
    return os.path.join(HERE, "programs", name)


def start(python, name, arguments=(), frames=5, traced=True, preload="", options=(), **variables):
    """Start a program. When it is ready it prints its digest: process.first_line."""
    environment = dict(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", **variables)
    if traced:
        environment.update(LD_PRELOAD=" ".join(filter(None, [preload, debuggers.TRACER])), TRACEMORTEM=str(frames))
    command = [python] + list(options) + [program(name)] + list(arguments)
    return debuggers.start_process(command, environment=environment)


def digest(python, name, arguments=(), **variables):
    """The digest of an untraced run."""
    with start(python, name, arguments, traced=False, **variables) as process:
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()
        return process.first_line


def finish(process):
    """Let it end: it must succeed, and print no error."""
    process.tell()
    assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()


def wait_for_rest(pid):
    """A program that has said it is ready goes on until it waits for us: in read(), system call 0."""
    while True:
        with open("/proc/%d/syscall" % pid) as file:
            if file.read().split()[0] == "0":
                return


def check_table(pid=None, core=None, idle=True):
    """The table is complete, and its blocks and counters agree. If not idle, updates may be in flight. Returns tm-info."""
    if pid is not None and idle:
        wait_for_rest(pid)
    info = looking.answer("tm-info", pid=pid, core=core)
    top = looking.answer("tm-top traceback -n 1", pid=pid, core=core)
    traces = looking.answer("tm-traces -n 1", pid=pid, core=core)
    for answer in (info, top, traces):
        assert not any(answer["missing"].values()), answer
    if idle:
        assert info["in_flight"] == 0 and info["resizing"] == 0
        assert traces["total_count"] == top["total_count"] == info["blocks"]
        assert traces["total_size"] == top["total_size"] == info["traced_memory"]
    return info
