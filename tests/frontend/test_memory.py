"""memory: it understands all forms of the kernel's and gdb's lists of mappings, and it knows which process is local."""

import os
import struct
import subprocess
import sys

from tracemortem.debugger.header import REGION_FILE, REGION_READABLE, REGION_WRITABLE, PrivateKind
from tracemortem.debugger.memory import LocalProcess, has_ended, local_process, parse_info_proc_mappings, parse_maps


def test_maps_with_names_of_every_kind():
    data = b"""\
55d0a0000000-55d0a0001000 r--p 00000000 fe:00 18624                      /usr/bin/python3.11
55d0a0001000-55d0a0002000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0                          [anon:tracemortem]
7f0000100000-7f0000200000 rw-p 00000000 00:00 0\x20
7f0000200000-7f0000300000 rw-s 00000000 00:01 99                         /memfd:a b (deleted)
7f0000300000-7f0000301000 ---p 00000000 00:00 0
not a line of it
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""
    assert parse_maps(data) == [
        (0x55D0A0000000, 0x55D0A0001000, REGION_READABLE | REGION_FILE, b"/usr/bin/python3.11"),
        (0x55D0A0001000, 0x55D0A0002000, REGION_READABLE | REGION_WRITABLE, b"[heap]"),
        (0x7F0000000000, 0x7F0000100000, REGION_READABLE | REGION_WRITABLE, b"[anon:tracemortem]"),
        (0x7F0000100000, 0x7F0000200000, REGION_READABLE | REGION_WRITABLE, b""),
        (0x7F0000200000, 0x7F0000300000, REGION_READABLE | REGION_WRITABLE | REGION_FILE, b"/memfd:a b (deleted)"),
        (0x7F0000300000, 0x7F0000301000, 0, b""),
        (0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, 0, b"[vsyscall]"),
    ]


def test_info_proc_mappings_with_and_without_permissions():
    with_permissions = """process 5549
Mapped address spaces:

          Start Addr           End Addr       Size     Offset  Perms  objfile
      0x55d0a0000000     0x55d0a0001000     0x1000        0x0  r--p   /usr/bin/python 3.11
      0x7f0000000000     0x7f0000100000   0x100000        0x0  rw-p   [anon:tracemortem]
      0x7f0000100000     0x7f0000200000   0x100000        0x0  rw-p   \n"""
    without = """process 5549
Mapped address spaces:

          Start Addr           End Addr       Size     Offset objfile
      0x55d0a0000000     0x55d0a0001000     0x1000        0x0 /usr/bin/python3.11
      0x7f0000100000     0x7f0000200000   0x100000        0x0\n"""
    assert parse_info_proc_mappings(with_permissions) == [
        (0x55D0A0000000, 0x55D0A0001000, REGION_READABLE | REGION_FILE, b"/usr/bin/python 3.11"),
        (0x7F0000000000, 0x7F0000100000, REGION_READABLE | REGION_WRITABLE, b"[anon:tracemortem]"),
        (0x7F0000100000, 0x7F0000200000, REGION_READABLE | REGION_WRITABLE, b""),
    ]
    assert parse_info_proc_mappings(without) == [
        (0x55D0A0000000, 0x55D0A0001000, REGION_READABLE | REGION_WRITABLE | REGION_FILE, b"/usr/bin/python3.11"),
        (0x7F0000100000, 0x7F0000200000, REGION_READABLE | REGION_WRITABLE, b""),
    ]


def test_a_process_that_this_one_does_not_trace_is_not_local():
    assert local_process(os.getpid()) is None
    assert local_process(1) is None
    assert local_process(1 << 40) is None


def test_an_exit_status_is_no_process():
    child = subprocess.Popen(["sleep", "1000"])
    assert not has_ended(child.pid) and not has_ended(os.getpid())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(child.pid)
    child.wait()
    assert has_ended(child.pid)


def test_private_memory_is_what_the_kernel_counts():
    """Memory of both kinds: private, and shared with nobody."""
    code = "import mmap, sys; kept = [bytearray(b'x') * (48 << 20), mmap.mmap(-1, 48 << 20)]; kept[1].write(kept[0]);"
    code += "print(flush=True); sys.stdin.read()"
    sizes = []
    for program in ("import sys; print(flush=True); sys.stdin.read()", code):
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            kind, size = LocalProcess(child.pid).private_memory()
            child.stdin.close()
        assert kind == PrivateKind.RESIDENT
        sizes.append(size)
    assert 96 << 20 <= sizes[1] - sizes[0] < 104 << 20


def test_resident_memory_is_what_the_kernel_counts():
    code = "import sys; kept = bytearray(b'x') * (48 << 20); print(id(kept), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        process = LocalProcess(child.pid)
        assert 48 << 20 <= process.resident() < 96 << 20
        (start, end), *_ = [
            (start, end) for start, end, _, _ in process.regions() if 48 << 20 <= end - start < 64 << 20
        ]
        data = process.page_map(start, (end - start) >> 12)
        words = struct.unpack("<%dQ" % (len(data) // 8), data)
        assert (47 << 20) >> 12 <= sum(word >> 63 for word in words) <= (end - start) >> 12
        child.stdin.close()
    assert (process.resident(), process.page_map(start, 1)) == (0, b"")


def test_a_process_says_its_own_id():
    process = LocalProcess(os.getpid())
    assert process.process() == os.getpid()
    gone = LocalProcess(1 << 22)
    assert gone.private_memory() == (PrivateKind.UNKNOWN, 0)
    assert (gone.process(), gone.source_files().find("/etc/passwd").path, gone.regions()) == (1 << 22, "", [])
