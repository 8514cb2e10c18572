"""Read-only memory that a core lacks comes from the module's file, and from no other file.

A core of gcore lacks the read-only parts of libraries. What comes from the file is compared with the process's own
memory; then the file is replaced by others that must not be used.
"""

import os
import shutil
import subprocess

import cores
import debuggers
import pytest
from tracemortem.debugger.core_file import CoreFile
from tracemortem.debugger.memory import CoreMemory, LocalProcess

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
const char constant[8192] = "a constant of the program";
const char *const relocated[4] = {constant, constant + 1, constant + 2, constant + 3};
int variable = 42;
int main(void)
{
    char text[200];
    int length = snprintf(text, sizeof(text), "%p %p %p\\n", (void *)constant, (void *)relocated, (void *)&variable);
    if (write(atoi(getenv("TM_READY")), text, length) != length)
        return 1;
    getchar();
    return 0;
}
"""


def build(folder, name, source, *options):
    (folder / (name + ".c")).write_text(source)
    command = ["gcc", "-fPIE", "-pie", "-Wl,--build-id", "-o", str(folder / name), str(folder / (name + ".c"))]
    subprocess.run(command + list(options), check=True)
    return str(folder / name)


@pytest.fixture(scope="module")
def dumped(tmp_path_factory):
    """A core without the read-only parts of its program, the process's memory there, and the program's path."""
    folder = tmp_path_factory.mktemp("modules")
    path = build(folder, "program", PROGRAM)
    with debuggers.start_process([path]) as process:
        process.constant, process.relocated, process.variable = (int(x, 16) for x in process.first_line.split())
        whole = cores.Core(debuggers.gcore(process.pid, folder / "whole.core"))
        local = LocalProcess(process.pid)
        process.truth = {address: local.read(address, 32) for address in (process.constant, process.relocated)}
        local.close()
        # Of a file's read-only pages only the first one, as the kernel does with its default filter.
        kept = [segment for segment in whole.segments]
        for index, segment in enumerate(kept):
            if segment.type == cores.PT_LOAD and not segment.flags & cores.PF_WRITE:
                first = whole.bytes_of(segment)[:4] == b"\x7fELF"
                kept[index] = segment._replace(held=min(segment.held, cores.PAGE if first else 0))
        process.core = folder / "cut.core"
        whole.write(process.core, segments=kept)
        process.program = path
        yield process


def read(core, address, length=32):
    with CoreFile(str(core)) as file:
        memory = CoreMemory(file)
        data = memory.read(address, length)
        return bytes(data) if data is not None else memory.why_missing(address)


def test_a_constant_comes_from_the_file(dumped):
    assert read(dumped.core, dumped.constant) == dumped.truth[dumped.constant]
    assert dumped.truth[dumped.constant].startswith(b"a constant of the program")


def test_what_the_loader_changed_does_not_come_from_the_file(dumped):
    """The file has no addresses there: the loader wrote them, and then made the page read-only."""
    found = read(dumped.core, dumped.relocated)
    assert found == dumped.truth[dumped.relocated] or isinstance(found, str)


def test_threads_and_modules_of_a_core(dumped):
    with CoreFile(str(dumped.core)) as file:
        memory = CoreMemory(file)
        (thread,) = memory.threads()
        assert thread.id == dumped.pid and thread.stack_pointer in thread.registers
        segment = file.segment_with(thread.stack_pointer)
        assert segment is not None and segment.writable
        rows = [row for row in memory.modules() if os.fsdecode(row[3]) == dumped.program]
    assert rows[0][2] == 0
    assert any(start <= dumped.constant < end for start, end, _, _ in rows)


@pytest.mark.parametrize("case", ["other", "no build id", "gone", "a pipe"])
def test_another_file_is_not_used(dumped, tmp_path, case):
    saved = str(tmp_path / "saved")
    shutil.move(dumped.program, saved)
    try:
        if case == "other":
            shutil.move(build(tmp_path, "other", PROGRAM.replace("a constant", "a CONSTANT")), dumped.program)
        elif case == "no build id":
            shutil.move(build(tmp_path, "without", PROGRAM, "-Wl,--build-id=none"), dumped.program)
        elif case == "a pipe":
            os.mkfifo(dumped.program)
        why = read(dumped.core, dumped.constant)
    finally:
        if os.path.lexists(dumped.program):
            os.unlink(dumped.program)
        shutil.move(saved, dumped.program)
    assert isinstance(why, str)
    wanted = {
        "other": "is not the file",
        "no build id": "cannot be compared",
        "gone": "is not here",
        "a pipe": "left out",
    }
    assert wanted[case] in why, why


def test_a_file_that_changed_while_it_is_open_is_not_used(dumped):
    with CoreFile(str(dumped.core)) as file:
        memory = CoreMemory(file)
        assert memory.read(dumped.constant, 8) is not None
        status = os.stat(dumped.program)
        os.utime(dumped.program, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        try:
            assert memory.read(dumped.constant, 8) is None
        finally:
            os.utime(dumped.program, ns=(status.st_atime_ns, status.st_mtime_ns))
