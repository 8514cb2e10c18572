"""Counts the hooks' instructions: callgrind counts what each case executes, untraced, under tracemalloc and
under tracemortem. Nothing else on the machine can change the figures, so they show what a stopwatch does not.

One process a mode runs all cases; callgrind writes its counts down whenever MARK is called. Shown is what one round
of a case takes untraced, and what the tracers add to it.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TRACER = os.path.join(ROOT, "build", "python", "tracemortem", "_tracer.abi3.so")
MARK = "getloadavg"  # of the C library; os.getloadavg() calls it, and nobody else does


class Point:
    """Made by a function of Python's."""

    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


def block(rounds):
    """A block from the allocator, and back."""
    for _ in rounds:
        object()


def buffer(rounds):
    """A block too large for pymalloc."""
    for _ in rounds:
        bytes(2000)


def number(rounds):
    """A float out of the free list."""
    x = 1.5
    for _ in rounds:
        x * x


def sequence(rounds):
    """A list out of the free list, with an array for its items."""
    for x in rounds:
        [x, x]


def mapping(rounds):
    """A dictionary."""
    for x in rounds:
        {"x": x}


def point(rounds):
    """A call, and an object."""
    for x in rounds:
        Point(x, x)


def append(rounds):
    """A list which grows, by realloc() now and then."""
    kept = []
    for x in rounds:
        kept.append(x)


def text(rounds):
    """Strings made and kept."""
    kept = []
    for x in rounds:
        kept.append("%d of them" % x)


def lines(rounds):
    """Blocks from several lines in turn."""
    for _ in rounds:
        object()
        object()
        object()
        object()


def generator(rounds):
    """A frame entered and left, with a block made in it."""

    def generate():
        while True:
            yield object()

    produce = generate().__next__
    for _ in rounds:
        produce()


class Tree:
    """Walked by a generator for each node, as in pyperformance."""

    def __init__(self, depth):
        self.left, self.right = (Tree(depth - 1), Tree(depth - 1)) if depth else (None, None)

    def __iter__(self):
        if self.left:
            yield from self.left
        yield object()
        if self.right:
            yield from self.right


TREE = Tree(9)


def generators(rounds):
    """A node of a tree that is walked by generators: one is born, and a block comes and goes, at other frames each time."""
    nodes = iter(TREE)
    for _ in rounds:
        if next(nodes, None) is None:
            nodes = iter(TREE)


def coroutines(rounds):
    """A coroutine that awaits two others, down to a depth of five."""

    async def task(depth):
        object()
        if depth:
            await task(depth - 1)
            await task(depth - 1)

    for _ in range(len(rounds) // 63):
        try:
            task(5).send(None)
        except StopIteration:
            pass


def descend(rounds):
    """A block on each level of a recursion, down and up again."""

    def level(depth):
        object()
        if depth:
            level(depth - 1)
        object()

    for _ in range(len(rounds) // 100):
        level(99)


CASES = (
    block,
    buffer,
    number,
    sequence,
    mapping,
    point,
    append,
    text,
    lines,
    generator,
    generators,
    coroutines,
    descend,
)
DEPTHS = (3, 30, 300)


def at_depth(depth, function, *arguments):
    """Call with so many more frames on the stack."""
    return at_depth(depth - 1, function, *arguments) if depth > 0 else function(*arguments)


def run_cases(names, depths, rounds):
    """In the process which is counted."""
    cases = [case for case in CASES if case.__name__ in names]
    for depth in depths:
        for case in cases:
            at_depth(depth, case, range(rounds))  # to know it by heart
            numbers = range(rounds)
            os.getloadavg()
            at_depth(depth, case, numbers)
            os.getloadavg()


def count(python, options, preload, names, depths, rounds):
    """{(case, depth): instructions a round}."""
    not_theirs = ("PYTHON", "TRACEMORTEM", "LD_PRELOAD")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(not_theirs)}
    environment.update(preload, PYTHONHASHSEED="0")
    with tempfile.TemporaryDirectory() as folder:
        counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=%s/out" % folder, "--dump-before=" + MARK]
        program = [os.path.abspath(__file__), "--inside", "--rounds", str(rounds)]
        program += ["--cases"] + names + ["--depths"] + [str(depth) for depth in depths]
        subprocess.run(counted + [python] + options + program, env=environment, stderr=subprocess.DEVNULL, check=True)
        dumps = {int(path.rsplit(".", 1)[1]): path for path in glob.glob(folder + "/out.*")}
        totals = []
        for number_ in sorted(dumps):
            with open(dumps[number_], encoding="utf-8", errors="replace") as file:
                totals.append(int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE).group(1)))
    keys = [(case, depth) for depth in depths for case in names]
    return {key: totals[2 * i + 1] / rounds for i, key in enumerate(keys)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to count in")
    parser.add_argument("--cases", nargs="*", default=[case.__name__ for case in CASES], help="only these")
    parser.add_argument("--depths", nargs="*", type=int, default=list(DEPTHS), help="frames below the case's own")
    parser.add_argument("--limits", nargs="*", type=int, default=[1, 25], help="frames kept (default: 1 25)")
    parser.add_argument("--details", nargs="*", default=["lean", "full"], help="profiles (default: lean full)")
    parser.add_argument("--rounds", type=int, default=2000, help="of each case (default: 2000)")
    parser.add_argument("--no-stock", action="store_true", help="leave tracemalloc out")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        run_cases(arguments.cases, arguments.depths, arguments.rounds)
        return

    names = [case.__name__ for case in CASES if case.__name__ in arguments.cases]
    modes = [("untraced", [], {})]
    for limit in arguments.limits:
        if not arguments.no_stock:
            modes.append(("tracemalloc %d" % limit, ["-X", "tracemalloc=%d" % limit], {}))
        for detail in arguments.details:
            variables = {"LD_PRELOAD": TRACER, "TRACEMORTEM": str(limit), "TRACEMORTEM_DETAIL": detail}
            modes.append(("%s %d" % (detail, limit), [], variables))
    results = [count(arguments.python, *mode[1:], names, arguments.depths, arguments.rounds) for mode in modes]
    version = subprocess.run([arguments.python, "-VV"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    print("%s: instructions a round, and how many more" % version)
    print("%-12s%7s  %10s  %s" % ("case", "depth", "untraced", "  ".join("%14s" % mode for mode, _, _ in modes[1:])))
    for key in results[0]:
        added = "  ".join("%+14.0f" % (result[key] - results[0][key]) for result in results[1:])
        print("%-12s%7d  %10.0f  %s" % (key + (results[0][key], added)))


if __name__ == "__main__":
    main()
