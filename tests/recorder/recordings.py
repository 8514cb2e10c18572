"""Starts recorded programs, and reads their files by the bytes that src/layout/recorder_file.h describes."""

import collections
import contextlib
import fcntl
import glob
import json
import os
import signal
import struct
import subprocess

import debuggers
from claims import claims_of

HERE = os.path.dirname(os.path.realpath(__file__))
COMMAND = os.path.join(debuggers.BUILD, "bin", "tracemortem")
HEADER, NOTES, RECORDER = 65536, 4096, 3328  # the last: in the root

Note = collections.namedtuple(
    "Note",
    "version size pid outer_pid start_ticks pid_namespace boot_id identity root made ended end status",
)
Segment = collections.namedtuple("Segment", "kind flags offset address physical file_size memory_size alignment")
Recorder = collections.namedtuple(
    "Recorder",
    "identity state error refused limit reached reached_used reached_traced failed failed_at failed_size",
)
NONE, CLEAN, EXIT, EXEC = range(4)  # ends
IN_MEMORY, IN_FILE, PRIVATE, CUT = range(4)  # states


def recorder_of(root):
    """The struct tm_recorder in the bytes of a root."""
    return Recorder(*struct.unpack_from("<16sII9Q", root, RECORDER)[:11])


class File:
    """A file's headers, notes and root, as they are now."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        head = struct.unpack_from("<16sHHIQQQIHHHHHH", self.bytes)
        assert head[0][:6] == b"\x7fELF\x02\x01" and head[1] == 4 and head[5] == 64
        count = head[10]
        segments = [Segment(*struct.unpack_from("<IIQQQQQQ", self.bytes, 64 + 56 * i)) for i in range(count)]
        assert segments[0].kind == 4 and segments[0].offset == NOTES
        self.loads = segments[1:]
        assert self.loads[0].offset == HEADER
        self.notes = dict(self._notes(NOTES, segments[0].file_size))
        self.note = Note(*struct.unpack("<IIIIQQ16s16sQQQIi", self.notes["TRACEMORTEM", 1]))
        self.root = self.bytes[HEADER:]
        self.recorder = recorder_of(self.root)
        assert self.loads[0].address == self.note.root == struct.unpack_from("<Q", self.root, 32)[0]
        for segment in self.loads:
            assert segment.kind == 1 and segment.file_size == segment.memory_size
            assert segment.offset + segment.file_size <= len(self.bytes)

    def _notes(self, at, size):
        end = at + size
        while at < end:
            name_size, length, kind = struct.unpack_from("<III", self.bytes, at)
            name = self.bytes[at + 12 : at + 12 + name_size - 1].decode()
            at += 12 + (name_size + 3) // 4 * 4
            yield (name, kind), self.bytes[at : at + length]
            at += (length + 3) // 4 * 4

    def modules(self):
        """The paths that NT_FILE names."""
        data = self.notes["CORE", 0x46494C45]
        count, unit = struct.unpack_from("<QQ", data)
        assert unit == 4096
        return data[16 + 24 * count :].split(b"\0")[:count]


def files(folder):
    """Names of the files in a folder."""
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(str(folder)), "*")))


def only_file(folder):
    (name,) = files(folder)
    return os.path.join(str(folder), name)


def file_of(folder, pid):
    (path,) = glob.glob(os.path.join(glob.escape(str(folder)), "*-%d.tm-core" % pid))
    return path


def is_locked(path):
    """Whether a process holds the lock of a file."""
    with open(path, "rb") as file:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK


def program(name):
    return os.path.join(HERE, "programs", name)


def claims(name):
    return claims_of(program(name))


def ask(path, *words):
    """The JSON of `tracemortem COMMAND PATH ...`."""
    words = [str(word) for word in words]
    run = subprocess.run(
        [COMMAND, words[0], str(path), "--json"] + words[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.returncode == 0, (words, run.stdout[-2000:], run.stderr)
    return json.loads(run.stdout.decode())


def blocks(path, name):
    """{(line, size): count} of the blocks in a file whose newest frame is in a program."""
    answer = ask(path, "traces", "-n", 1000000, "--include", program(name))
    return collections.Counter((trace["traceback"][-1]["lineno"], trace["size"]) for trace in answer["traces"])


@contextlib.contextmanager
def held(process):
    """The process does not run."""
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    yield
    os.kill(process.pid, signal.SIGCONT)


def require_whole(path, name=None):
    """The table in the file is consistent, and has exactly what the program's lines claim."""
    answer = ask(path, "verify")
    assert answer["verdict"] in ("healthy", "full"), answer
    if name is not None:
        found, wanted = blocks(path, name), claims(name)
        assert wanted and {key: found[key] for key in wanted} == wanted


def environment(pattern, **variables):
    return dict(variables, TRACEMORTEM_FILE=str(pattern))


def start(python, name, *arguments, folder=None, preload=None, **variables):
    """Start a program of programs/ with its table in a file, and wait until it is ready."""
    return debuggers.start_process(
        [python, program(name)] + [str(argument) for argument in arguments],
        environment=dict(
            {"TRACEMORTEM": "4", "LD_PRELOAD": ":".join(filter(None, [debuggers.TRACER, preload]))}, **variables
        ),
        folder=folder,
    )


def result(python, name, *arguments):
    """What the program says at its end if it is not traced: its second line."""
    with debuggers.start_process([python, program(name)] + [str(argument) for argument in arguments]) as process:
        process.tell()
        return process.ready()


def finish(process):
    """Let the program go on to its end. The line that it writes then."""
    process.tell()
    line = process.ready()
    process.tell()
    status = process.popen.wait(debuggers.PATIENCE)
    assert status == 0, (status, process.stderr())
    return line
