"""Real services of Debian's packages, asked over a socket: processor time a request, peak memory, and what a fork costs.

A server has one worker. This program asks it one request after the other, and reads the worker's figures from /proc.
apps.py has the applications. A forked child that ends at once tells what it used by wait4().
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

from measure import PACKAGE_PATH, PATIENCE, Failed

HERE = os.path.dirname(os.path.realpath(__file__))
TICK = os.sysconf("SC_CLK_TCK")

# The words after the interpreter; %d is the descriptor of the listening socket.
SERVICES = {
    "flask": ["-m", "gunicorn", "--workers=1", "--bind=fd://%d", "--no-sendfile", "apps:flask_app()"],
    "django": ["-m", "gunicorn", "--workers=1", "--bind=fd://%d", "--no-sendfile", "apps:django_app()"],
    "asgi": ["-m", "uvicorn", "--factory", "--fd=%d", "--log-level=error", "apps:asgi_app"],
}


def _processor_seconds(pid):
    with open("/proc/%d/stat" % pid, "rb") as file:
        fields = file.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _peak(pid):
    with open("/proc/%d/status" % pid, "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"VmHWM:"))


def _ask(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise Failed("the service answered %d" % response.status)
    return body


def _connect(port, process):
    """A connection whose first request was answered."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise Failed(lines[-1] if lines else "the server ended with status %d" % process.returncode)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            return connection, int(_ask(connection, "/pid"))
        except OSError:
            connection.close()
            time.sleep(0.05)
    raise Failed("no answer in %d s" % PATIENCE)


def _serve(runner, mode, name, requests):
    listening = socket.create_server(("127.0.0.1", 0))
    words = [word % listening.fileno() if "%d" in word else word for word in SERVICES[name]]
    environment = runner.environment(mode, PYTHONPATH=os.pathsep.join((HERE, PACKAGE_PATH)))
    process = subprocess.Popen(
        [runner.python] + words, env=environment, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=runner.pin, start_new_session=True
    )  # fmt: skip
    try:
        connection, pid = _connect(listening.getsockname()[1], process)
        for number in range(requests // 10):
            _ask(connection, "/page/%d" % number)  # caches and imports
        before = _processor_seconds(pid)
        for number in range(requests):
            _ask(connection, "/page/%d" % number)
        used = _processor_seconds(pid) - before
        fork = json.loads(_ask(connection, "/fork"))
        return {"cpu": used / requests, "resident": _peak(pid), "fork": fork["seconds"]}
    finally:
        listening.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def measure(runner, name, modes, rounds, requests):
    """{mode name: a list of {"cpu": seconds a request, "resident": KiB, "fork": seconds a forked child}}."""
    probe = "import sys; sys.path.insert(0, %r); import apps; apps.%s_app()" % (HERE, name)
    tried = subprocess.run([runner.python, "-c", probe], env=runner.environment(modes[0]), stderr=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, check=False)  # fmt: skip
    if tried.returncode:
        raise Failed(tried.stderr.decode(errors="replace").strip().splitlines()[-1])
    results = {mode.name: [] for mode in modes}
    for number in range(rounds):
        for mode in modes if number % 2 == 0 else reversed(modes):
            taking_part = number % mode.every == 0
            results[mode.name].append(_serve(runner, mode, name, requests) if taking_part else None)
    return results


if __name__ == "__main__":
    sys.exit("bench.py runs this: --parts services")
