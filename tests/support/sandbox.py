"""Runs programs where the system refuses a part of what it usually grants.

    words = sandbox.words(tmp_path, "mdwe") + [python, "-c", code]

"mdwe": memory that was not executable when it was mapped never becomes so, and no code is writable (PR_SET_MDWE, Linux
6.3). "code": mprotect() fails for executable memory, as under SELinux's execmod and systemd's MemoryDenyWriteExecute=.
"no-reading": process_vm_readv() fails.
"""

import platform
import subprocess

import pytest

_SOURCE = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
static int filter(struct sock_filter *code, unsigned short length)
{
    struct sock_fprog program = {.len = length, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
int main(int argc, char **argv)
{
    struct sock_filter no_reading[] = {
        LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1), REFUSE, ALLOW,
    };
    struct sock_filter code[] = {
        LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), REFUSE, ALLOW,
    };
    int good = argc > 2 && (!strcmp(argv[1], "mdwe") ? prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0 :
                            !strcmp(argv[1], "code") ? filter(code, 6) : filter(no_reading, 4));
    if (!good)
        return 77;
    execv(argv[2], argv + 2);
    return 78;
}
"""


def words(folder, kind):
    """What to put before a command line. Skips the test if the system knows no such refusal."""
    program = folder / "sandbox"
    if not program.exists():
        (folder / "sandbox.c").write_text(_SOURCE)
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", str(program), str(folder / "sandbox.c")], check=True)
    if subprocess.call([str(program), kind, "/bin/true"]) == 77:
        pytest.skip("%s %s has no such sandbox: %s" % (platform.system(), platform.release(), kind))
    return [str(program), kind]
