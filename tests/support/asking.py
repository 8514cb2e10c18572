"""Asks one gdb or one lldb about many cores, one after the other: starting a debugger takes longer than asking it.

    said = asking.ask("gdb", [(core, ["tm-info --json", "tm-top"]), …])
    said[0][1].output, said[0][1].error        # of the second command on the first core; error "" if it did not fail

A core is its path, or (path, program). said[i].opened is the answer to opening the core. This file also runs inside the
debugger as a script: it reads the questions from the file $TM_ASK and writes the answers to $TM_SAID.
"""

import collections
import json
import os
import sys
import tempfile

Answer = collections.namedtuple("Answer", "output error")
Answer.__doc__ = "What a command printed, and its error or an empty string."


class Answers(list):
    """An Answer for each command on one core; `opened` is that of opening it."""

    opened = None


def ask(debugger, questions, environment=None):
    import debuggers

    questions = [((core, None) if not isinstance(core, tuple) else core, commands) for core, commands in questions]
    work = [[str(core), program and str(program), commands] for (core, program), commands in questions]
    with tempfile.TemporaryDirectory(prefix="tm-test-") as folder:
        variables = dict(environment or {}, TM_ASK=os.path.join(folder, "ask"), TM_SAID=os.path.join(folder, "said"))
        with open(variables["TM_ASK"], "w") as file:
            json.dump(work, file)
        script = {"gdb": "source %s", "lldb": "command script import %s"}[debugger] % os.path.realpath(__file__)
        run = debuggers.run_debugger(debugger, [script], environment=variables)
        assert run.status == 0 and os.path.exists(variables["TM_SAID"]), run
        with open(variables["TM_SAID"]) as file:
            said = json.load(file)
    assert len(said) == len(work), run
    answers = []
    for opened, *rest in said:
        # Ways to look at the same state differ in private memory: see debuggers.answers().
        answers.append(Answers(Answer(debuggers.without_private(text), error) for text, error in rest))
        answers[-1].opened = Answer(*opened)
    return answers


def _in_gdb(core, program, commands):
    import gdb

    def run(command):
        try:
            return gdb.execute(command, to_string=True), ""
        except gdb.error as error:
            return "", str(error) or "it failed"

    run("file %s" % (program or ""))
    opened = run("core-file %s" % core)
    said = [opened] + [run(command) for command in commands]
    run("core-file")
    return said


def _in_lldb(core, program, commands, debugger):
    import lldb

    def run(command):
        result = lldb.SBCommandReturnObject()
        debugger.GetCommandInterpreter().HandleCommand(command, result)
        error = (result.GetError() or "it failed") if not result.Succeeded() else ""
        return result.GetOutput() or "", error

    opened = run("target create --core %s %s" % (core, program or ""))
    said = [opened] + [run(command) for command in commands]
    run("target delete")
    return said


def _answer_all(answer):
    with open(os.environ["TM_ASK"]) as file:
        work = json.load(file)
    said = [answer(*question) for question in work]
    with open(os.environ["TM_SAID"], "w") as file:
        json.dump(said, file)


def __lldb_init_module(debugger, _):
    _answer_all(lambda *question: _in_lldb(*question, debugger))


if __name__ == "__main__" and "gdb" in sys.modules:
    _answer_all(_in_gdb)
