"""Says whether it is traced, and starts itself in the way that its argument names; the child says the same of itself."""

import os
import subprocess
import sys
import tracemalloc


def say():
    print(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit(), flush=True)


def start(way):
    command = [sys.executable, os.path.realpath(__file__)]
    if way == "popen":
        subprocess.run(command, check=True)
    elif way == "sh":
        subprocess.run("exec %s %s" % tuple(command), shell=True, check=True)
    elif way == "execve":
        os.execve(command[0], command, dict(os.environ))
    else:
        import multiprocessing

        child = multiprocessing.get_context(way).Process(target=say)
        child.start()
        child.join()
        sys.exit(child.exitcode)


if __name__ == "__main__":
    say()
    if sys.argv[1:]:
        start(sys.argv[1])
