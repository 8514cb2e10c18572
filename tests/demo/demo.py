"""Shows tracemortem at work: a real service leaks; two cores and the running process show where.

Prints every command it runs and the command's output. Exits with 0 if the debuggers named the line that leaks. The
environment variable PYTHON chooses the interpreter that runs the service.
"""

import http.client
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SERVICE = os.path.join("tests", "demo", "service.py")
PYTHON = os.environ.get("PYTHON") or "/usr/bin/python3"
FRAMES = 25
TIMEOUT = 600

failures = []


def say(text):
    print("\n" + text, flush=True)


def check(holds, claim):
    """Print whether `claim` holds. If it does not, the demo fails at its end."""
    print("%s: %s" % ("ok" if holds else "NOT SO", claim), flush=True)
    if not holds:
        failures.append(claim)


def line_with(text):
    """The number of the one line of the service that contains `text`."""
    with open(os.path.join(ROOT, SERVICE), encoding="utf-8") as file:
        numbers = [number for number, line in enumerate(file, 1) if text in line]
    assert len(numbers) == 1, (text, numbers)
    return numbers[0]


def first_row(output):
    """File name and line number in the first row of statistics."""
    match = re.search(r"^(?:#\d+: )?(.+):(\d+): size=", output, re.MULTILINE)
    return (match.group(1), int(match.group(2))) if match else None


# ---------------------------------------------------------------------------------------------------------------------
# The service and its customers


def before_service():
    """In the child: let the kernel write cores, and let a debugger attach that is not our parent."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    import ctypes

    pr_set_ptracer, any_process = 0x59616D61, ctypes.c_ulong(-1)
    ctypes.CDLL(None).prctl(pr_set_ptracer, any_process, 0, 0, 0)


def start_service(directory):
    """Start the service under the tracer. Returns the process and the port it listens on."""
    command = [PYTHON, "-m", "tracemortem", "-f", str(FRAMES), SERVICE, "--directory", directory]
    say("$ PYTHONPATH=build/python %s &" % shlex.join(command))
    environment = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "build", "python"))
    service = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8", preexec_fn=before_service
    )
    line = service.stdout.readline()
    print(line, end="", flush=True)
    if not line.startswith("listening on "):
        sys.exit("the service did not start")
    return service, int(line.split()[-1])


def ask(connection, method, path, body=None):
    connection.request(method, path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status in (200, 201), (path, response.status, answer)
    return answer


def customer(port, name, rounds):
    """One customer's visit: looks at products, orders some, and asks for a report after every order."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    for i in range(rounds):
        ask(connection, "GET", "/products?max=300")
        ask(connection, "GET", "/products/%d" % (i % 200 + 1))
        ask(connection, "POST", "/orders", {"customer": name, "product": i % 200 + 1, "quantity": i % 5 + 1})
        ask(connection, "GET", "/orders?customer=" + name)
    connection.close()


def visit(port, customers, rounds):
    """All customers at once."""
    say("# %d customers at once, %d requests" % (customers, customers * rounds * 4))
    threads = [threading.Thread(target=customer, args=(port, "customer%d" % i, rounds)) for i in range(customers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---------------------------------------------------------------------------------------------------------------------
# The debuggers


def run(command, steps, script):
    """Write `script` to the file `steps` and run a debugger on it. Print and return the debugger's output."""
    say("$ cat %s\n%s\n$ %s" % (steps, script.rstrip(), shlex.join(command)))
    with open(steps, "w", encoding="utf-8") as file:
        file.write(script)
    debugger = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT
    )
    output = debugger.stdout.decode("utf-8", "replace")
    print(output, end="", flush=True)
    check(debugger.returncode == 0, "%s ended well" % command[0])
    return output


def gdb(directory, script, *arguments):
    """Run gdb on `arguments` with the commands of `script`, each echoed before its output."""
    steps = os.path.join(directory, "steps.gdb")
    echoed = "".join("echo \\n(gdb) %s\\n\n%s\n" % (line, line) for line in script.splitlines())
    options = ["-nx", "-iex", "set debuginfod enabled off", "-batch", "-x", steps]
    return run(["gdb"] + list(arguments) + options, steps, "source gdb/tm_gdb.py\n" + echoed)


def lldb(directory, script):
    """Run lldb with the commands of `script`; it echoes them itself."""
    steps = os.path.join(directory, "steps.lldb")
    found = filter(None, map(shutil.which, ("lldb-19", "lldb-16", "lldb")))  # as `make deps demo` installs it
    program = next(found, None) or sys.exit("no lldb: try `make deps demo`")
    return run([program, "-x", "-b", "-s", steps], steps, "command script import lldb/tm_lldb.py\n" + script)


def kernel_writes_cores(directory):
    """Whether a process that aborts in `directory` leaves a core there. It tries."""
    probe = os.path.join(directory, "probe")
    os.mkdir(probe)
    subprocess.run(
        ["/bin/sh", "-c", "kill -ABRT $$"],
        cwd=probe,
        preexec_fn=before_service,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT,
    )
    left = os.listdir(probe)
    shutil.rmtree(probe)
    return any(name.startswith("core") for name in left)


def abort(service, directory):
    """Abort the service. Returns the path of the core that the kernel wrote."""
    say("$ kill -ABRT %d" % service.pid)
    service.send_signal(signal.SIGABRT)
    service.wait(TIMEOUT)
    cores = [name for name in os.listdir(directory) if name.startswith("core")]
    if len(cores) != 1:
        sys.exit("the kernel wrote %d cores" % len(cores))
    path = os.path.join(directory, "second.core")
    os.rename(os.path.join(directory, cores[0]), path)
    print("the kernel wrote a core: %s" % path, flush=True)
    return path


# ---------------------------------------------------------------------------------------------------------------------


def main():
    began = time.monotonic()
    leak, handler = line_with("self.reports[number] = "), line_with("shop.order_report(")
    directory = tempfile.mkdtemp(prefix="tracemortem-demo-")
    service = None
    try:
        by_kernel = kernel_writes_cores(directory)
        service, port = start_service(directory)

        visit(port, customers=8, rounds=50)
        say("# What does the memory of the running service hold? gdb stops it, reads it, and lets it go on.")
        first = os.path.join(directory, "first.core")
        output = gdb(directory, "tm-info\ntm-top lineno\ngcore %s" % first, "-p", str(service.pid))
        row = first_row(output)
        check(row and row[0].endswith("service.py") and row[1] == leak, "tm-top names service.py:%d first" % leak)

        visit(port, customers=8, rounds=60)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        address = ask(connection, "GET", "/diagnostics")["oldest"]
        connection.close()
        if by_kernel:
            second = abort(service, directory)
        else:
            say("# The kernel leaves no core in the working directory here, so gdb writes the second one too.")
            second = os.path.join(directory, "second.core")
            gdb(directory, "gcore %s" % second, "-p", str(service.pid))
            service.kill()

        say("# The service is gone. Where was the object at %#x, one of those it kept, allocated?" % address)
        output = gdb(directory, "tm-traceback %#x" % address, PYTHON, second)
        check(re.search(r'service\.py", line %d\b' % leak, output), "tm-traceback shows the line which leaks")
        check(re.search(r'service\.py", line %d\b' % handler, output), "tm-traceback shows the handler")
        check(re.search(r'socketserver\.py", line \d+', output), "tm-traceback shows the server")

        say("# Which line grew between the two cores?")
        row = first_row(lldb(directory, "tm-diff %s %s\n" % (first, second)))
        check(row and row[0].endswith("service.py") and row[1] == leak, "tm-diff names service.py:%d first" % leak)
    finally:
        if service is not None and service.poll() is None:
            service.kill()
            service.wait()
        shutil.rmtree(directory)
    verdict = "NOT SO: " + "; ".join(failures) if failures else "All as it should be."
    say("The demo took %.0f s. %s" % (time.monotonic() - began, verdict))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
