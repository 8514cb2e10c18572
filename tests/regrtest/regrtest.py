#!/usr/bin/env python3
"""Runs CPython's own regression tests without the tracer and with it preloaded, and compares the results test by test.

    regrtest.py [--python PYTHON] [--frames N] [-j N] [--report FILE] [MODULE]...

A test must end the same way in both runs: passed, failed, error or skipped. If it does not, its module runs once more
both ways, and only what differs again counts, because some of CPython's tests depend on time. DIFFERENT lists the
differences that are no fault of the tracer, with reasons. Exit status: 0 if nothing else differs.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402

# Memory, collection and lifetime; threads, processes and signals; C API and embedding; the interpreter itself; and libraries
# that allocate in unusual ways.
MODULES = """
    test_array test_ast test_asyncgen test_asyncio test_atexit test_audit test_buffer test_builtin test_bytes test_bz2
    test_call test_capi test_cmd_line test_code test_codecs test_collections test_compile test_concurrent_futures
    test_context test_copy test_coroutines test_csv test_ctypes test_decimal test_deque test_descr test_dict
    test_dynamic test_eintr test_embed test_enum test_exceptions test_external_inspection test_faulthandler test_finalization
    test_float test_fork1 test_frame test_frozen test_functools test_gc test_generators test_hashlib test_heapq test_import
    test_interpreters test_io test_itertools test_json test_list test_long test_lzma test_marshal test_memoryio test_memoryview
    test_mmap test_multiprocessing_fork test_multiprocessing_main_handling test_multiprocessing_spawn test_opcache
    test_os test_pickle test_posix test_pty test_pyexpat test_queue test_re test_sched test_select test_selectors
    test_set test_signal test_socket test_socketserver test_sqlite3 test_ssl test_str test_struct test_subprocess
    test_support test_sys test_sys_setprofile test_sys_settrace test_tempfile test_thread test_thread_local_bytes
    test_threadedtempfile test_threading test_threading_local test_threadsignals test_tuple test_types test_typing
    test_tracemalloc test_unicode test_unpack test_userdict test_wait3 test_wait4 test_warnings test_weakref test_weakset test_xml_etree
    test_xml_etree_c test_zipfile test_zlib test__xxsubinterpreters
""".split()

# {pattern of tests: why their results differ with the tracer}. Any other difference is a failure.
DIFFERENT = {
    r"test\.test_cmd_line\.CmdLineTest\.test_(pythonmalloc|xdev)": "asks for the name of the allocators, which are hooked",
    r"test\.test_sys\.SysModuleTest\.test_debugmallocstats": "CPython shows pymalloc's statistics only where nobody hooks it",
    r"test\.test_warnings\.\w+\.test_tracemalloc": "a program which does not trace itself is to have no traceback, and has one",
    r"test\.test_tracemalloc\.TestCommandLine\..*": "tries tracemalloc's own switches on programs which are traced already",
}
# A test that prints this does not run while tracemalloc is tracing, as it is with the tracer.
SKIPS_ITSELF = "tracemalloc"

PATIENCE = 1800  # seconds for one module


def has_module(python, module):
    code = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('test.' + sys.argv[1]))"
    return not subprocess.run([python, "-c", code, module], stderr=subprocess.DEVNULL).returncode


def environment(frames):
    """The environment of a run. With `frames` the tracer is preloaded."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "TRACEMORTEM", "LD_PRELOAD", "PYENV"))
    }
    if frames:
        variables.update(LD_PRELOAD=debuggers.TRACER, TRACEMORTEM=str(frames))
    return variables


def outcome(case):
    """How one <testcase> ended."""
    for element, word in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        found = case.find(element)
        if found is not None:
            aside = word == "skipped" and SKIPS_ITSELF in (found.get("message") or "") + (found.text or "")
            return "set itself aside" if aside else word
    return "passed"


def run_module(python, module, frames):
    """Returns ({test: outcome}, the run's output)."""
    with tempfile.TemporaryDirectory(prefix="tm-regrtest-") as folder:
        results = os.path.join(folder, "results.xml")
        command = [python, "-m", "test", "--junit-xml", results, "-v", module]
        try:
            run = subprocess.run(
                command,
                env=environment(frames),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as expired:
            return {"the module": "no end after %d s" % PATIENCE}, expired.stdout or b""
        if os.path.exists(results):
            cases = xml.etree.ElementTree.parse(results).getroot().iter("testcase")
            found = {case.get("name"): outcome(case) for case in cases if case.get("name")}
        else:
            found = {}
    # If there are no tests, because the module is skipped here, the exit status is compared.
    found["the module"] = "status %d" % run.returncode
    return found, run.stdout


def known_difference(test, traced):
    if traced == "set itself aside":
        return "it does not run while tracemalloc is tracing, and says so"
    return next((reason for pattern, reason in DIFFERENT.items() if re.fullmatch(pattern, test)), None)


def differences(plain, traced):
    """[(test, outcome without, outcome with)]."""
    tests = sorted(set(plain) | set(traced))
    return [(test, plain.get(test), traced.get(test)) for test in tests if plain.get(test) != traced.get(test)]


class Module:
    """Both runs of one module, and their differences."""

    def __init__(self, python, name, frames):
        self.name = name
        self.plain, _ = run_module(python, name, 0)
        self.traced, self.output = run_module(python, name, frames)
        self.again = differences(self.plain, self.traced)
        if any(not known_difference(test, result) for test, _, result in self.again):
            plain, _ = run_module(python, name, 0)
            traced, self.output = run_module(python, name, frames)
            differ_again = {test for test, _, _ in differences(plain, traced)}
            self.again = [entry for entry in self.again if entry[0] in differ_again]
        self.known = [entry for entry in self.again if known_difference(entry[0], entry[2])]
        self.unknown = [entry for entry in self.again if not known_difference(entry[0], entry[2])]
        if self.known and not [test for test, _, _ in self.unknown if test != "the module"]:
            self.unknown = []  # the exit status is nonzero because of the known ones

    def count(self, outcome):
        return sum(result == outcome for test, result in self.traced.items() if test != "the module")

    def line(self):
        counts = ", ".join("%d %s" % (self.count(word), word) for word in ("passed", "skipped", "failed", "error"))
        return "%-40s %s%s" % (self.name, counts, "  DIFFERS" if self.unknown else "")


def compare(python, modules, frames, jobs=1, show=print):
    """Run all modules. Returns the list of Module."""
    present = [module for module in modules if has_module(python, module)]
    done = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for module in pool.map(lambda name: Module(python, name, frames), present):
            show(module.line())
            for test, plain, traced in module.known:
                show("    %s: %s, traced %s: %s" % (test, plain, traced, known_difference(test, traced)))
            for test, plain, traced in module.unknown:
                show("    %s: %s, traced %s" % (test, plain, traced))
            done.append(module)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--jobs", "-j", type=int, default=1)
    parser.add_argument("--logs", help="a folder for the output of modules which differ")
    parser.add_argument("modules", nargs="*", default=MODULES)
    options = parser.parse_args()
    done = compare(
        options.python, options.modules, options.frames, options.jobs, show=lambda line: print(line, flush=True)
    )
    different = [module for module in done if module.unknown]
    for module in different if options.logs else []:
        os.makedirs(options.logs, exist_ok=True)
        with open(os.path.join(options.logs, module.name + ".log"), "wb") as file:
            file.write(module.output)
    total = {word: sum(module.count(word) for module in done) for word in ("passed", "skipped", "failed", "error")}
    print("%d modules, traced: %s" % (len(done), ", ".join("%d %s" % (n, word) for word, n in total.items())))
    print("%d modules differ%s" % (len(different), ": " + " ".join(m.name for m in different) if different else ""))
    return bool(different) or not done


if __name__ == "__main__":
    sys.exit(main())
