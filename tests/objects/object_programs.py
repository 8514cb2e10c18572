"""What the tests of objects share: their programs, and questions on the command line."""

import bisect
import os
import shlex
import subprocess

import debuggers

HERE = os.path.dirname(os.path.realpath(__file__))


def program(name):
    return os.path.join(HERE, "programs", name)


def command_line(core, command):
    """What the command line prints for a command of the debuggers, without the line about private memory."""
    name, *rest = shlex.split(command)
    words = [os.path.join(debuggers.BUILD, "bin", "tracemortem"), name[len("tm-") :], str(core)] + rest
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.returncode == 0, run
    return debuggers.without_private(run.stdout.decode())


def in_blocks(objects, addresses):
    """Of these addresses those that are in the blocks of tm-find's rows."""
    ranges = sorted((row["address"], row["address"] + row["size"]) for row in objects)
    starts = [start for start, _ in ranges]

    def inside(address):
        index = bisect.bisect_right(starts, address) - 1
        return index >= 0 and address < ranges[index][1]

    return {address for address in addresses if inside(address)}
