"""Blocks in other domains than CPython's are kept apart from it, and both debuggers show them alike, to the byte."""

import json
import re
import subprocess

import debuggers
import pytest
import pythons
from e2e_programs import program

CLAIM = re.compile(r"  # (\d+): (\d+) x (\d+)$")
PYTHONS = pythons.find()


def expected(name):
    """{domain: {line: (size, count)}} for each line of a program that has a claim."""
    domains = {}
    with open(program(name)) as file:
        for number, line in enumerate(file, 1):
            claim = CLAIM.search(line.rstrip("\n"))
            if claim:
                domain, count, size = map(int, claim.groups())
                domains.setdefault(domain, {})[number] = (count * size, count)
    return domains


def lines_of(text, name):
    rows = [row for row in json.loads(text)["statistics"] if row["filename"] == program(name)]
    return {row["lineno"]: (row["size"], row["count"]) for row in rows}


def require_domains(name, process, folder):
    """For each domain but CPython's own, both debuggers say what the program claims, of the process and of its core."""
    wanted = expected(name)
    wanted.pop(0, None)
    commands = ["tm-top --domain %d --json -n 100000" % domain for domain in sorted(wanted)]
    core = debuggers.gcore(process.pid, folder / "core")
    for debugger in debuggers.DEBUGGERS:
        for target in ({"pid": process.pid}, {"core": core}):
            texts = debuggers.answers(debugger, commands, **target)
            for domain, text in zip(sorted(wanted), texts):
                assert lines_of(text, name) == wanted[domain], (debugger, domain)


def test_the_data_of_numpys_arrays_is_in_numpys_domain(tmp_path):
    """Runs in the interpreter for which the system has a numpy package."""
    system = next((python.path for python in PYTHONS if python.path.startswith("/usr/bin/")), None)
    if not system or subprocess.call([system, "-c", "import numpy"], stderr=subprocess.DEVNULL):
        pytest.skip("no numpy (Debian: python3-numpy)")
    with debuggers.start_traced_process(system, program("held_arrays.py"), frames=5) as process:
        require_domains("held_arrays.py", process, tmp_path)


@pytest.fixture
def tracked(python):
    arguments = [debuggers.TRACER]
    with debuggers.start_traced_process(python, program("domains.py"), arguments, frames=5, preload=True) as process:
        process.shared, process.alone = map(int, process.first_line.split())
        yield process


def test_each_domain_has_exactly_its_own_blocks(tracked, tmp_path):
    require_domains("domains.py", tracked, tmp_path)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_an_address_in_several_domains_is_shown_with_all_of_them(tracked, debugger):
    addresses = (tracked.shared, tracked.shared + 9, tracked.shared + 4000, tracked.alone)
    commands = ["tm-traceback --json 0x%x" % address for address in addresses]
    *texts, shown = debuggers.answers(debugger, commands + ["tm-traceback 0x%x" % tracked.shared], pid=tracked.pid)
    answers = [json.loads(text)["blocks"] for text in texts]
    found = [sorted((block["domain"], block["address"], block["size"]) for block in blocks) for blocks in answers]
    of_python, of_77, of_78 = ((0, tracked.shared, 5000), (77, tracked.shared, 3000), (78, tracked.shared, 10))
    assert found[:3] == [[of_python, of_77, of_78], [of_python, of_77, of_78], [of_python]]
    assert (78, tracked.alone, 1 << 20) in found[3] and {domain for domain, _, _ in found[3]} == {78}
    wanted = {domain: min(lines) for domain, lines in expected("domains.py").items()}
    assert {block["domain"]: block["traceback"][-1]["lineno"] for block in answers[0]} == wanted
    heads = re.findall("^block at 0x%x of ([0-9]+) bytes, domain ([0-9]+)$" % tracked.shared, shown, re.MULTILINE)
    assert sorted(heads, key=lambda head: int(head[1])) == [("5000", "0"), ("3000", "77"), ("10", "78")]
    with open(program("domains.py")) as file:
        source = file.read().splitlines()
    for line in wanted.values():
        assert (
            '  File "%s", line %d, in main\n    %s\n' % (program("domains.py"), line, source[line - 1].strip()) in shown
        )
