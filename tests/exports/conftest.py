"""Exports, opened in the programs that they are made for: go tool pprof, speedscope, a browser, a spreadsheet's parser.

Strategy: one program with known blocks and hostile names; gdb writes all formats of it, plain and as differences; each
reader must find in its file what tm-top says of the process. What is not installed is skipped, by name.
"""

import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from exporting import FORMATS, NODE_MODULES, Exported, has_page, path_in  # noqa: E402


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("exported"))
    formats = [name for name in FORMATS if name != "html" or has_page()]
    python, script = pythons.find()[-1].path, os.path.join(HERE, "programs", "shop.py")
    with debuggers.start_traced_process(
        python, script, frames=25, environment={"TRACEMORTEM_DETAIL": "full"}
    ) as process:
        old = debuggers.gcore(process.pid, os.path.join(folder, "old.core"))
        process.tell()
        process.ready()
        new = debuggers.gcore(process.pid, os.path.join(folder, "new.core"))
    asked = ["tm-export %s %s" % (name, path_in(folder, name)) for name in formats]
    asked += ["tm-export %s %s --base %s" % (name, path_in(folder, name + ".diff"), old) for name in formats]
    asked += ["tm-top lineno -n 100000 --json", "tm-top function -n 100000 --json", "tm-diff %s -n 100000 --json" % old]
    said = debuggers.answers("gdb", asked, program=python, core=new)
    return Exported(folder, *map(json.loads, said[-3:]))


@pytest.fixture(scope="session")
def browser():
    """Runs a script of this folder in node, with puppeteer-core and Debian's chromium; returns what it prints, parsed."""
    chromium = shutil.which("chromium")
    if not shutil.which("node") or not chromium or not os.path.exists(os.path.join(NODE_MODULES, "puppeteer-core")):
        pytest.skip("no node, no chromium, or no puppeteer-core: make deps test-all")

    def run(script, *arguments):
        command = ["node", os.path.join(HERE, script), chromium] + list(map(str, arguments))
        environment = dict(os.environ, NODE_PATH=NODE_MODULES)
        answer = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=debuggers.PATIENCE
        )
        assert answer.returncode == 0, answer.stderr.decode()
        return json.loads(answer.stdout.decode())

    return run
