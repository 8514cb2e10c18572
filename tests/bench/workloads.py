"""The programs which bench.py measures, each a function here. `workloads.py NAME` runs one and prints a JSON object:
the seconds of processor time it took, and the process's resident memory at its most, in KiB.

Each does what programs do all day with the standard library, for some tenths of a second untraced; none is made to
suit a tracer.
"""

import ast
import collections
import json
import re
import sqlite3
import sys
import time


class Node:
    """A node of a binary tree."""

    def __init__(self, left, right):
        self.left = left
        self.right = right


def objects():
    """Many small objects, short-lived and long-lived."""

    def tree(depth):
        return Node(tree(depth - 1), tree(depth - 1)) if depth else Node(None, None)

    kept = tree(16)
    for _ in range(6):
        tree(15)
    return kept


def json_documents():
    """Documents parsed and written."""
    document = [{"id": i, "name": "name %d" % i, "tags": ["a", "b", str(i)], "price": i / 7} for i in range(2000)]
    text = json.dumps(document)
    for _ in range(25):
        json.dumps(json.loads(text), indent=1)


def syntax_trees():
    """A module of the standard library parsed and compiled."""
    with open(json.decoder.__file__, encoding="utf-8") as file:
        source = file.read()
    for _ in range(80):
        tree = ast.parse(source)
        list(ast.walk(tree))
        compile(tree, "decoder.py", "exec")


def words():
    """Text taken apart and counted: strings and dictionaries."""
    text = " ".join("word%d" % (i * 7919 % 5000) for i in range(60000))
    for _ in range(20):
        counter = collections.Counter(re.findall(r"\w+", text))
        sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def database():
    """Rows into sqlite3 and out again."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, value REAL)")
    connection.executemany("INSERT INTO item VALUES (?, ?, ?)", ((i, "item %d" % i, i * 0.5) for i in range(60000)))
    for _ in range(8):
        connection.execute("SELECT * FROM item WHERE value > 10").fetchall()


def numbers():
    """Arithmetic in a loop: almost no allocation which lives, but floats come and go."""
    total = 0.0
    for i in range(4000000):
        total += i * 0.5
    return total


def recursion():
    """Allocations at the bottom of deep stacks."""

    def descend(depth):
        return [depth] if depth == 0 else descend(depth - 1) + [depth]

    for _ in range(2400):
        descend(300)


ALL = (objects, json_documents, syntax_trees, words, database, numbers, recursion)


def most_resident():
    """Of this process since it was started: getrusage() would begin with what its parent had."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))


def main(name):
    workload = {function.__name__: function for function in ALL}[name]
    began = time.process_time()
    kept = workload()
    seconds = time.process_time() - began
    del kept
    print(json.dumps({"seconds": seconds, "resident": most_resident()}))


if __name__ == "__main__":
    main(sys.argv[1])
