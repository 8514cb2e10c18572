"""Runs a tm- command on a process, without a debugger: measure.py PID LINE. What it writes is counted and not kept.

Prints as JSON: the answer; `seconds` of processor time; `memory`, the most that this process had; `written` bytes.
"""

import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "support"))

import looking  # noqa: E402
from tracemortem.debugger import engine  # noqa: E402


def main(pid, line):
    output = looking._Output()
    session = engine.Session(engine.Engine(), output)
    process = looking._Process(int(pid))
    written = []
    command, _, arguments = line.partition(" ")
    with engine.Target(session, process) as target:
        with session.request(command, arguments + " --json") as request:
            if request.operands():
                request.set_output(0, lambda data: written.append(len(data)))
            began = time.process_time()
            request.run(target)
            seconds = time.process_time() - began
    session.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer = json.loads(output.text)
    print(json.dumps({"answer": answer, "seconds": seconds, "memory": memory, "written": sum(written)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
