"""Signals in hooks, forks among threads, other processes, turning tracing off and on, and all ways to end."""

import re

import debuggers
import fault_support
import looking
import pytest
import pythons
import scripts

EVERY = pythons.find() + pythons.find_free_threaded()


def test_signals_forks_and_spawns_among_threads_change_no_result(any_python):
    plain = fault_support.digest(any_python, "storm.py")
    with fault_support.start(any_python, "storm.py") as process:
        assert process.first_line == plain
        info = fault_support.check_table(process.pid)
        assert info["lost_blocks"] == info["lost_frames"] == 0
        fault_support.finish(process)


def test_children_forked_while_other_threads_allocate_have_exact_tables(any_python, storm):
    """The child does not have the other threads. What they were doing is completed or undone in it."""
    forks = 20
    with fault_support.start(any_python, "forks.py", [storm, forks]) as process:
        children = [process.first_line] + [process.ready() for _ in range(forks - 1)]
        for pid, number in (map(int, line.split()) for line in children):
            fault_support.check_table(pid)
            verified = looking.answer("tm-verify --strict", pid=pid)
            assert verified["verdict"] == "healthy", verified
            traces = looking.answer("tm-traces -n 1000000 --include '*/forks.py'", pid=pid)["traces"]
            sizes = [trace["size"] for trace in traces if trace["size"] in (500, 600)]
            assert (sizes.count(500), sizes.count(600)) == (number, 80)


@pytest.mark.parametrize("python", [p.path for p in EVERY], ids=map(pythons.name, EVERY))
def test_handlers_of_fork_which_run_between_ours_allocate_and_are_recorded(python, handlers):
    """In the parent and in the child: what they allocate and free is recorded like anything else, and there is no deadlock."""
    script = fault_support.program("handlers.py")
    with open(script) as file:
        (line,) = [number for number, text in enumerate(file, 1) if text.endswith("# here\n")]
    environment = dict(PYTHONPATH=debuggers.PACKAGE_PATH)
    with debuggers.start_process([python, script, handlers], environment=environment) as process:
        child, parent = int(process.first_line), int(process.ready())
        assert parent == process.pid != child
        for pid, sizes in ((parent, [70001, 70005, 70006]), (child, [70007, 70008])):
            assert fault_support.check_table(pid)["lost_blocks"] == 0
            assert looking.answer("tm-verify --strict", pid=pid)["verdict"] == "healthy"
            traces = looking.answer("tm-traces -n 1000000", pid=pid)["traces"]
            held = {trace["size"]: trace["traceback"][-1] for trace in traces if 70000 <= trace["size"] < 70010}
            assert sorted(held) == sizes
            assert {(frame["filename"], frame["lineno"]) for frame in held.values()} == {(script, line)}


@pytest.mark.parametrize("allocators", ["debug", "malloc", "malloc_debug", "pymalloc", "pymalloc_debug"])
def test_other_allocators_change_no_result_and_are_recorded(python, allocators):
    plain = fault_support.digest(python, "busy.py", PYTHONMALLOC=allocators)
    with fault_support.start(python, "busy.py", PYTHONMALLOC=allocators) as process:
        assert process.first_line == plain
        info = fault_support.check_table(process.pid)
        assert info["lost_blocks"] == 0 and info["blocks"] > 20000
        fault_support.finish(process)


def test_developer_mode_changes_no_result_and_is_recorded(python):
    plain = fault_support.digest(python, "busy.py", PYTHONDEVMODE="1")
    with fault_support.start(python, "busy.py", options=["-X", "dev"]) as process:
        assert process.first_line == plain
        assert fault_support.check_table(process.pid)["blocks"] > 20000
        fault_support.finish(process)


def test_stopping_and_clearing_while_threads_allocate(python):
    """Nothing breaks meanwhile, and when the threads have ended the record is exact again."""
    with fault_support.start(python, "turning.py", ["300"]) as process:
        assert process.first_line == "[]"
        info = fault_support.check_table(process.pid)
        assert info["lost_blocks"] == 0 and info["blocks"] > 200
        fault_support.finish(process)


def test_a_thread_may_read_an_allocator_that_is_half_set(any_python):
    """One with our function and the context of the allocator before it, or the other way round."""
    with fault_support.start(any_python, "contexts.py") as process:
        assert process.first_line == "used"
        assert fault_support.check_table(process.pid)["lost_blocks"] == 0
        fault_support.finish(process)


@pytest.mark.parametrize("way", ["exit", "raise", "os._exit", "threads", "kill", "exec"])
def test_the_end_is_the_same(python, way):
    path = fault_support.program("ending.py")
    plain = scripts.run(python, [path, way], check=False)
    traced = scripts.run(python, [path, way], way="preloaded", frames=5, check=False)
    assert traced == plain
    assert re.match("so far", plain.stdout)


def test_a_look_in_the_midst_of_a_storm_finds_no_damage(python):
    """Stopped at random moments, with all threads at work: updates in flight are not damage."""
    with debuggers.Process(
        [python, fault_support.program("turning.py"), "1000000000"],
        environment=dict(LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="5"),
    ) as process:
        looks = seen = 0
        while looks < 60 or seen <= 10:
            assert process.popen.poll() is None, (looks, seen)
            looks += 1
            with looking.standing_still(process.pid):
                try:
                    info = looking.answer("tm-info", pid=process.pid)
                    traces = looking.answer("tm-traces -n 1", pid=process.pid)
                except looking.EngineError as error:
                    # Before it traces for the first time there is no table, neither ours nor CPython's.
                    early = () if seen else (looking.NO_TABLE, looking.FAULT)
                    assert error.code == looking.NOT_TRACING or error.code in early, error
                    continue
                if info["state"] == "tracing":
                    assert not any(info["missing"].values()) and not any(traces["missing"].values())
                    seen += 1
