#!/usr/bin/env python3
"""Runs the end-to-end tests on other systems with the tracer and engine built here, and writes the table of results.

    python3 tests/matrix/matrix.py --roots DIR [--here] [--jobs N] [--tests 'tests/e2e tests/tracer'] [SUITE ...]

A system is a folder DIR/SUITE. If it is missing, debootstrap makes it from Debian's packages. `--here` adds this
system, and `--report FILE` the results of `make test-all PYTEST_ARGS=--junitxml=FILE` here. In each system pytest runs with
all of its CPythons, its gdb and its newest lldb. A cell of the table is green if every test passed that names the
cell's CPython, debugger and kind of target. Tests that name no debugger are in the last column. Below the table is what
is red. The table is in docs/compatibility.md, between two marks.

Needs root for chroot and for /proc in it. The mounts are in their own namespace and vanish with it.
"""

import argparse
import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PAGE = os.path.join(ROOT, "docs", "compatibility.md")
BEGIN, END = "<!-- begin of what `make matrix` writes -->", "<!-- end of what `make matrix` writes -->"
MIRROR = "http://deb.debian.org/debian"
INSIDE = "/tracemortem"  # where a system has its copy of the repository
COPIED = ["Makefile", "build/lib", "build/python", "src", "gdb", "lldb", "tests", "docs"]
TESTS = "tests/e2e tests/tracer tests/dropin/test_like_stock.py tests/frontend/test_lldb_completion.py"

COMMON = "gcc libc6-dev make binutils procps gdb python3 python3-pytest python3-pytest-xdist"
PACKAGES = {
    "bullseye": COMMON + " python3-dev python3-dbg libpython3.9-testsuite lldb-16 python3-lldb-16",
    "trixie": COMMON + " python3.13-dev python3.13-dbg libpython3.13-testsuite lldb-22 python3-lldb-22",
    "sid": COMMON
    + " python3.13-dev python3.13-dbg python3.14-dev python3.14-dbg python3.15-dev python3.15-dbg"
    + " libpython3.14-testsuite lldb-23 python3-lldb-23",
}

DEBUGGERS, WAYS = ("gdb", "lldb"), ("live", "core")
Outcome = collections.namedtuple("Outcome", "test python debugger way passed skipped why")


class System:
    """One system to run tests in: a folder, or the system we run on."""

    def __init__(self, name, root=None):
        self.name, self.root = name, root

    def command(self, words):
        if self.root is None:
            return words
        mount = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
        return ["unshare", "--mount", "--fork", "--kill-child", "sh", "-c", mount, self.root] + words

    def run(self, words, **options):
        return subprocess.run(self.command(words), stdin=subprocess.DEVNULL, **options)

    def output(self, words):
        done = self.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        return done.stdout.strip()

    def folder(self):
        return ROOT if self.root is None else self.root + INSIDE

    def prepare(self):
        if self.root is None:
            return
        if not os.path.exists(os.path.join(self.root, "usr/bin/apt-get")):
            os.makedirs(self.root, exist_ok=True)
            subprocess.check_call(["debootstrap", "--variant=minbase", self.name, self.root, MIRROR])
        install = "apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "
        have = self.output(["sh", "-c", "dpkg-query -W -f '${Package} ' " + PACKAGES[self.name]]).split()
        if set(PACKAGES[self.name].split()) - set(have):
            shutil.copy("/etc/resolv.conf", os.path.join(self.root, "etc/resolv.conf"))
            self.run(["sh", "-c", install + PACKAGES[self.name]], check=True)
        shutil.rmtree(self.folder(), ignore_errors=True)
        for part in COPIED:
            source, target = os.path.join(ROOT, part), os.path.join(self.folder(), part)
            if os.path.isdir(source):
                shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(source, target)

    def description(self):
        line = self.output(["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"'])
        return "%s, glibc %s" % (re.sub(r"Debian GNU/Linux (.*)", r"Debian \1", line), self.glibc())

    def glibc(self):
        return self.output(["getconf", "GNU_LIBC_VERSION"]).split()[-1]

    def debuggers(self):
        """{"gdb": (program, version), "lldb": …}, the newest of each."""
        lldbs = glob.glob((self.root or "") + "/usr/bin/lldb-[0-9]*")
        newest = max((path.rsplit("-", 1)[1] for path in lldbs), key=int, default="")
        programs = {"gdb": "gdb", "lldb": "lldb-" + newest if newest else "lldb"}
        found = {}
        for name, program in programs.items():
            first = (self.output([program, "--version"]) or "?").splitlines()[0]
            found[name] = (program, re.findall(r"\d+(?:\.\d+)+", first)[-1])
        return found

    def pythons(self):
        """The interpreters by the names that tests use."""
        probe = (
            "import sys; sys.path.insert(0, 'tests/support'); import pythons\n"
            "print(*[pythons.name(p) for p in pythons.find() + pythons.find_debug()])"
        )
        words = ["env", "PYTHONS=" + self.chosen(), "sh", "-c", 'cd %s && python3 -B -c "$0"' % self.inside(), probe]
        return self.output(words).split()

    def inside(self):
        return ROOT if self.root is None else INSIDE

    def chosen(self):
        """The value of $PYTHONS: the usual search on this system; in a folder all that are there, also debug builds."""
        if self.root is None:
            return os.environ.get("PYTHONS", "")
        paths = glob.glob(self.root + "/usr/bin/python3.*")
        names = [os.path.basename(path) for path in paths]
        return " ".join("/usr/bin/" + name for name in sorted(names) if re.fullmatch(r"python3\.\d+d?", name))

    def test(self, tests, arguments, jobs):
        """Run the tests, `jobs` files at a time. Returns the outcomes."""
        report = os.path.join(self.folder(), "build", "matrix.xml")
        gdb, lldb = (self.debuggers()[name][0] for name in DEBUGGERS)
        words = ["env", "-u", "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE=1", "PYTHONS=" + self.chosen()]
        words += ["TM_TEST_GDB=" + gdb, "TM_TEST_LLDB=" + lldb, "sh", "-c", 'cd "$0" && exec "$@"', self.inside()]
        words += [
            "/usr/bin/python3",
            "-m",
            "pytest",
            "-q",
            "--all",
            "-p",
            "no:cacheprovider",
            "--junitxml",
            "build/matrix.xml",
        ]
        words += ["-n", str(jobs), "--dist", "loadfile"]
        if os.path.exists(report):
            os.unlink(report)
        self.run(words + tests.split() + arguments)
        return read_report(report)


def read_report(path):
    outcomes = []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        test, _, arguments = case.get("name").partition("[")
        arguments = arguments.rstrip("]").split("-")
        pick = lambda names: next((word for word in arguments if word in names), None)  # noqa: E731
        python = next((word for word in arguments if re.fullmatch(r"3\.\d+\.\d+d?:\w+", word)), None)
        bad = [part for part in case if part.tag in ("failure", "error")]
        skipped = any(part.tag == "skipped" for part in case)
        why = (bad[0].get("message") or "").splitlines()[0][:200] if bad and bad[0].get("message") else ""
        outcomes.append(Outcome(test, python, pick(DEBUGGERS), pick(WAYS), not bad and not skipped, skipped, why))
    return outcomes


# -- the table


def belongs(outcome, python, debugger, way):
    """Whether a test's outcome counts for a cell."""
    return (
        outcome.python == python
        and outcome.debugger in (None, debugger)
        and outcome.way in (None, way)
        and (outcome.debugger or outcome.test in ("test_four_ways_to_ask_get_one_answer",))
    )


def cell(outcomes):
    if any(not outcome.passed and not outcome.skipped for outcome in outcomes):
        return "**red**"
    return "green" if any(outcome.passed for outcome in outcomes) else "not run"


def rows_of(system, outcomes):
    versions = {name: version for name, (_, version) in system.debuggers().items()}
    for python in system.pythons():
        cells = [
            cell([outcome for outcome in outcomes if belongs(outcome, python, debugger, way)])
            for debugger in DEBUGGERS
            for way in WAYS
        ]
        others = [outcome for outcome in outcomes if outcome.python == python and outcome.debugger is None]
        passed, counted = sum(o.passed for o in others), sum(not o.skipped for o in others)
        name = python.partition(":")[0]
        name = name[:-1] + " debug" if name.endswith("d") else name
        where = "" if python.endswith(":usr") else " (not Debian's)"
        row = [name + where, system.description(), versions["gdb"]] + cells[:2] + [versions["lldb"]] + cells[2:]
        yield row + ["%d of %d" % (passed, counted) if counted else "not run"]


def reds_of(system, outcomes):
    for outcome in outcomes:
        if not outcome.passed and not outcome.skipped:
            words = [word for word in (outcome.python, outcome.debugger, outcome.way) if word]
            yield "- %s, `%s`%s: %s" % (system.description(), outcome.test, " [%s]" % ", ".join(words), outcome.why)


HEAD = ["CPython", "system", "gdb", "live", "core", "lldb", "live", "core", "other tests"]


def table(results):
    rows = [row for system, outcomes in results for row in rows_of(system, outcomes)]
    lines = ["| %s |" % " | ".join(row) for row in [HEAD, ["---"] * len(HEAD)] + rows]
    reds = [line for system, outcomes in results for line in reds_of(system, outcomes)]
    lines.append("")
    for system, outcomes in results:
        counts = sum(o.passed for o in outcomes), sum(o.skipped for o in outcomes)
        lines.append("%s: %d tests passed, %d were skipped." % ((system.description(),) + counts))
    return "\n".join(lines + (["", "What is red:", ""] + reds if reds else ["", "Nothing is red."]))


def write_page(text):
    with open(PAGE) as file:
        page = file.read()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    with open(PAGE, "w") as file:
        file.write("%s%s\n\n%s\n\n%s%s" % (before, BEGIN, text, END, after))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--roots", required=True, help="the folder of the systems' folders")
    parser.add_argument("--here", action="store_true", help="this system too")
    parser.add_argument("--report", help="a report of pytest on this system, instead of running the tests here")
    parser.add_argument("--tests", default=TESTS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many test files run at a time")
    parser.add_argument("--pytest", default="", help="more arguments for pytest")
    parser.add_argument("--no-page", action="store_true", help="print the table only")
    parser.add_argument(
        "suites", nargs="*", default=sorted(PACKAGES), help="of Debian: %s" % ", ".join(sorted(PACKAGES))
    )
    options = parser.parse_args()
    systems = [System(suite, os.path.join(os.path.realpath(options.roots), suite)) for suite in options.suites]
    systems += [System("here")] if options.here and not options.report else []
    results = []
    for system in systems:
        system.prepare()
        print("%s:" % system.description(), flush=True)
        results.append((system, system.test(options.tests, options.pytest.split(), options.jobs)))
    if options.report:
        results.append((System("here"), read_report(options.report)))
    results.sort(key=lambda result: result[0].root is not None)  # this system first
    text = table(results)
    print(text)
    if not options.no_page:
        write_page(text)
    return any(not o.passed and not o.skipped for _, outcomes in results for o in outcomes)


if __name__ == "__main__":
    sys.exit(main())
