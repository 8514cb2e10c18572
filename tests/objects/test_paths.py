"""Each step of tm-holders is a reference that Python's own gc knows, through containers of all kinds."""

import json

import debuggers
from object_programs import command_line, program
from selection import is_newest, light


@light(lambda any_python: is_newest(any_python))
def test_steps_are_references_that_gc_knows(any_python, tmp_path):
    with debuggers.start_traced_process(any_python, program("referents.py"), frames=5, preload=True) as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
        leaves = json.loads(process.first_line)
        paths, texts = {}, {}
        for name, address in leaves.items():
            answer = json.loads(command_line(core, "tm-holders --json %d" % address))
            assert answer["held"] and answer["root"] == "module __main__", name
            assert 1 == answer["refcount"] <= answer["found"], name
            paths[name] = [step["address"] for step in answer["path"]]
            texts.update({step["address"]: (step["label"], step["value"]) for step in answer["path"]})
            assert paths[name][-1] == address and "['kept']" in [step["label"] for step in answer["path"]], name
        pairs = [(name, pair) for name, path in paths.items() for pair in zip(path, path[1:])]
        process.tell(json.dumps([pair for _, pair in pairs]))
        known = json.loads(process.ready())
    assert len(known) == len(pairs) > 3 * len(leaves)
    unknown = [pairs[i] for i, is_known in enumerate(known) if not is_known]
    assert not [(name, texts[holder], texts[referent]) for name, (holder, referent) in unknown]
