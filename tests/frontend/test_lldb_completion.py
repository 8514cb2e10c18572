"""What lldb completes, and lldb-dap, by which editors use lldb.

lldb completes nothing in the line of a command that takes it raw, but files or variables. From 21 on it asks a command
whose line it splits. docs/ways-in.md says what that means to the user.
"""

import json
import shutil
import subprocess
import threading

import debuggers
import pytest
import pythons
from selection import thorough

DAP = debuggers.LLDB.replace("lldb", "lldb-dap")
# Typed so far: what an lldb that asks offers, and what others offer.
TYPED = {
    "tm-to": (["tm-top"], ["tm-top"]),
    "tm-top --so": (["--sort"], []),
    "tm-top --sort ": (["size", "count", "allocated", "freed"], []),
    "tm-top -n 5 --sort=fr": (["--sort=freed"], []),
    "tm-top li": (["lineno"], []),
    "tm-top --domain ": (["0"], []),
    "tm-traces --include '*/a b' --so": (["--sort"], []),
    "tm-set plain of": (["off"], []),
    "tm-set limit 5 ": ([], []),
    "tm-traceback --pl": ([], []),  # an expression is the rest of the line, so the line stays raw
    "tm-diff {folder}/on": (["{folder}/one.core"], ["{folder}/one.core"]),
    "tm-save {folder}/on": (["{folder}/one.core"], ["{folder}/one.core"]),
    "tm-top --output {folder}/on": (["{folder}/one.core"], []),
}
ASK = (
    "script import json; typed = json.loads(%r); found, more = lldb.SBStringList(), lldb.SBStringList(); "
    "_ = lldb.debugger.GetCommandInterpreter().HandleCompletionWithDescriptions(typed, len(typed), 0, -1, found, more); "
    "print(json.dumps([found.GetStringAtIndex(i) for i in range(1, found.GetSize())]))"
)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    script = tmp_path_factory.mktemp("completion") / "program.py"
    script.write_text("kept = bytes(9000)\nimport os, sys\nos.write(int(os.environ['TM_READY']), b'\\n')\ninput()\n")
    python = pythons.find()[-1].path
    with debuggers.start_traced_process(python, script, preload=True) as process:
        return python, debuggers.gcore(process.pid, script.parent / "core")


def test_lldb_completes_what_it_lets_a_command_complete(core, tmp_path):
    (tmp_path / "one.core").write_text("")
    typed = [line.format(folder=tmp_path) for line in TYPED]
    python, path = core
    answers = debuggers.answers("lldb", [ASK % json.dumps(line) for line in typed], program=python, core=path)
    for line, answer, wanted in zip(typed, answers, TYPED.values()):
        wanted = [word.format(folder=tmp_path) for word in wanted[0 if debuggers.lldb_asks_commands() else 1]]
        assert json.loads(answer) == wanted, (line, answer)


class Adapter:
    """lldb-dap: requests and responses as JSON, each after a header with its length."""

    def __init__(self, python, core):
        self._process = subprocess.Popen([DAP], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._guard = threading.Timer(debuggers.PATIENCE, self._process.kill)
        self._guard.start()
        self._count = 0
        self._responses = {}  # by the request's number
        self._events = set()
        self.ask("initialize", adapterID="test", linesStartAt1=True, columnsStartAt1=True)
        load = "command script import %s" % debuggers.TM_LLDB
        attached = self._send("attach", program=python, coreFile=str(core), initCommands=[load])
        while "initialized" not in self._events:
            self._receive()
        self.ask("configurationDone")
        self._wait(attached)  # later ones respond only now

    def ask(self, command, **arguments):
        """The body of the response."""
        return self._wait(self._send(command, **arguments))

    def _send(self, command, **arguments):
        """Returns the request's number."""
        self._count += 1
        request = {"seq": self._count, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self._process.stdin.flush()
        return self._count

    def _wait(self, number):
        while number not in self._responses:
            self._receive()
        message = self._responses.pop(number)
        assert message["success"], message
        return message.get("body")

    def _receive(self):
        message = self._read()
        if message["type"] == "response":
            self._responses[message["request_seq"]] = message
        elif message["type"] == "event":
            self._events.add(message["event"])

    def _read(self):
        length = 0
        for line in iter(self._process.stdout.readline, b"\r\n"):
            assert line, "lldb-dap has ended"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self._process.stdout.read(length))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._guard.cancel()
        self._process.kill()
        self._process.communicate()


@thorough
@pytest.mark.skipif(shutil.which(DAP) is None, reason="no %s" % DAP)
def test_lldb_dap_completes_and_answers_as_lldb_does(core, tmp_path):
    (tmp_path / "one.core").write_text("")
    question = "tm-top -n 1 --include '*/program.py'"
    wanted = debuggers.answers("lldb", [question], program=core[0], core=core[1])[0]
    with Adapter(*core) as adapter:
        for line, offers in TYPED.items():
            line = line.format(folder=tmp_path)
            targets = adapter.ask("completions", text=line, column=len(line) + 1)["targets"]
            ours, words = (
                [word.format(folder=tmp_path) for word in offers[i]]
                for i in (0, 0 if debuggers.lldb_asks_commands() else 1)
            )
            # Where no command offers anything, it offers the names of variables.
            found = [target["label"].split(" -- ")[0] for target in targets]
            assert found == words if words else not set(found) & set(ours), (line, found[:9])
        said = adapter.ask("evaluate", expression=question, context="repl")["result"]
        assert "kept = bytes(9000)" in wanted and wanted in debuggers.without_private(said)
        said = adapter.ask("evaluate", expression="tm-top --sort bogus", context="repl")["result"]
        assert '"bogus" is not a sort order' in said
