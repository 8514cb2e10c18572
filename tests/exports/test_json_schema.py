"""docs/json.schema.json describes all that the commands print with --json: nothing is missing in it, nothing is too much.

Strategy: ask one gdb many questions, with every option that changes the answer, and check each answer with the schema, in
which no object may have members that it does not list.
"""

import copy
import json
import os
import re

import debuggers
import pytest
import pythons
from selection import thorough

jsonschema = pytest.importorskip("jsonschema")
pytestmark = thorough

with open(os.path.join(debuggers.ROOT, "docs", "json.schema.json"), encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)

QUESTIONS = (
    "tm-info",
    "tm-top -n 3",
    "tm-top traceback -n 3 --sort allocated",
    "tm-top filename --cumulative",
    "tm-top function --mine '*/shop.py' --include '*.py' --domain 0",
    "tm-top --include nothing:3",
    "tm-top type -n 3",
    "tm-top type,traceback -n 3 --type '*t'",
    "tm-find --type dict -n 3",
    "tm-find --type '<block>' -n 1 --attr x=1",
    "tm-object {address}",
    "tm-holders {address}",
    "tm-holders --direct {address}",
    "tm-holders --paths 3 --depth 2 {address}",
    "tm-holders --type dict -n 3",
    "tm-holders --include '*/shop.py' --depth 2",
    "tm-top type --retained -n 2",
    "tm-leaks -n 2",
    "tm-leaks traceback -n 2 --mine '*/shop.py' --kind garbage",
    "tm-threads",
    "tm-threads --locals -n 2",
    "tm-memory",
    "tm-memory pools -n 2 --include '*.py'",
    "tm-memory pools traceback -n 2 --mine '*/shop.py'",
    "tm-diff {old} --memory -n 1",
    "tm-diff {old} type -n 3",
    "tm-diff {old} -n 3",
    "tm-diff {old} traceback -n 3 --sort freed --mine '*/shop.py'",
    "tm-diff {old} filename --cumulative",
    "tm-traces -n 3",
    "tm-traces --mine '*/shop.py' --sort site -n 3",
    "tm-traceback {address}",
    "tm-traceback -n 1 {address}",
    "tm-save {folder}/snapshot",
    "tm-export csv {folder}/csv --mine '*/shop.py' --exclude '*x'",
    "tm-export collapsed {folder}/collapsed --base {old} --mine nothing",
    "tm-save --core {folder}/saved.core",
    "tm-export heapsnapshot {folder}/heapsnapshot",
    "tm-filter add '*.py:3' --domain 3 --all-frames",
    "tm-filter add --domain 0",
    "tm-filter list",
    "tm-top -n 3",
    "tm-filter remove 1",
    "tm-filter clear",
    "tm-set",
    "tm-set frames 3",
    "tm-verify",
)


def strict(schema):
    """The same schema, in which no object has a member that is not listed."""
    schema = copy.deepcopy(schema)

    def visit(part):
        if isinstance(part, dict):
            if part.get("type") in ("object", ["object", "null"]):
                part["additionalProperties"] = False
            for value in part.values():
                visit(value)
        elif isinstance(part, list):
            for value in part:
                visit(value)

    visit(schema)
    return schema


STRICT = strict(SCHEMA)


def definition_of(answer, file=False):
    """The part of the schema for an answer: errors in it are easier to read than those of oneOf."""
    return dict(STRICT, oneOf=[{"$ref": "#/definitions/" + ("tm-export-file" if file else answer["command"])}])


def check(answer, file=False):
    part = definition_of(answer, file)
    del part["oneOf"]
    name = "tm-export-file" if file else answer["command"]
    jsonschema.validate(answer, dict(part, **{"$ref": "#/definitions/" + name}))
    jsonschema.validate(answer, STRICT)  # exactly one of all fits


@pytest.fixture(scope="module")
def said(exported, tmp_path_factory):
    """The answers to QUESTIONS, of a core and of a process under CPython's own tracemalloc."""
    folder = str(tmp_path_factory.mktemp("schema"))
    core = exported.path("new.core")
    (traces,) = debuggers.answers("gdb", ["tm-traces -n 1 --json"], core=core)
    words = dict(old=exported.path("old.core"), folder=folder, address=hex(json.loads(traces)["traces"][0]["address"]))
    asked = ["%s --json" % question.format(**words) for question in QUESTIONS]
    return [json.loads(text) for text in debuggers.answers("gdb", asked, private=True, core=core)]


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_each_answer_fits_its_part_of_the_schema(said):
    for answer in said:
        check(answer)
    assert {answer["command"] for answer in said} == {
        name for name in SCHEMA["definitions"] if name.startswith("tm-") and name != "tm-export-file"
    }


def test_a_member_that_is_not_listed_does_not_fit(said):
    with pytest.raises(jsonschema.ValidationError):
        check(dict(said[0], surprise=1))
    with pytest.raises(jsonschema.ValidationError):
        check({key: value for key, value in said[1].items() if key != "total_size"})


def test_exported_json_fits_the_schema(exported, tmp_path):
    asked = ["tm-export json %s/lines lineno --cumulative" % tmp_path]
    asked += ["tm-export json %s/types type,traceback" % tmp_path]
    asked += ["tm-export json %s/own --mine '*/shop.py' --base %s" % (tmp_path, exported.path("old.core"))]
    debuggers.answers("gdb", asked, core=exported.path("new.core"))
    texts = [exported.read("json"), exported.read("json.diff"), (tmp_path / "lines").read_text()]
    for text in texts + [(tmp_path / name).read_text() for name in ("own", "types")]:
        check(json.loads(text), file=True)


def test_answers_about_cpythons_own_tracemalloc_fit_the_schema():
    program = "import os, sys; os.write(int(os.environ['TM_READY']), b'ready\\n'); sys.stdin.readline()"
    command = [pythons.find()[-1].path, "-X", "tracemalloc=3", "-c", program]
    with debuggers.start_process(command) as process:
        asked = ["%s --json" % line for line in ("tm-info", "tm-top -n 3", "tm-top traceback -n 3", "tm-traces -n 3")]
        for text in debuggers.answers("gdb", asked, private=True, pid=process.pid):
            check(json.loads(text))


def test_the_version_is_the_engines(said):
    with open(os.path.join(debuggers.ROOT, "src", "engine", "commands", "report.h"), encoding="utf-8") as header:
        (version,) = re.findall(r"define TM_JSON_VERSION (\d+)u", header.read())
    assert SCHEMA["version"] == int(version) == said[0]["json_version"]
