"""Real servers that were started untraced are hunted from outside while they serve: start, look, stop. No request fails.

`make test-all` installs the servers; they are of the system's Python.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import cli_command
import debuggers
import pytest
from selection import thorough

HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAMS = os.path.join(HERE, "programs")
SHOP = os.path.join(PROGRAMS, "shop.py")
SIZE = 20033
SYSTEM = "/usr/bin/python3"

pytestmark = thorough


def gunicorn(kind, *more):
    words = ["gunicorn", "-w", "2", "-k", kind, "-b", "127.0.0.1:{port}", "--no-sendfile"]
    return words + list(more) + ["shop:application"]


UWSGI = ["uwsgi", "--plugin", "python3", "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2"]
UWSGI += ["--wsgi-file", SHOP]
UVICORN = ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning", "shop:application_of_asgi"]

SERVERS = {
    "gunicorn sync": gunicorn("sync"),
    "gunicorn sync preload": gunicorn("sync", "--preload"),
    "gunicorn gthread": gunicorn("gthread", "--threads", "3"),
    "gunicorn gthread preload": gunicorn("gthread", "--threads", "3", "--preload"),
    "gunicorn gevent": gunicorn("gevent"),
    "gunicorn gevent preload": gunicorn("gevent", "--preload"),
    "uwsgi": UWSGI,
    "uwsgi threads": UWSGI + ["--enable-threads", "--threads", "2"],
    "uvicorn": UVICORN,
    "uvicorn workers": UVICORN + ["--workers", "2"],
}


def has_module(name):
    code = "import importlib.util as u, sys; sys.exit(u.find_spec(%r) is None)" % name
    return os.path.exists(SYSTEM) and subprocess.call([SYSTEM, "-c", code]) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(words, folder, **environment):
    """The server, untraced."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_", "TRACE"))}
    variables.update(environment, PYTHONDONTWRITEBYTECODE="1")
    with open(str(folder / "log"), "wb") as log:
        server = subprocess.Popen(
            words, cwd=PROGRAMS, env=variables, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def get(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=debuggers.PATIENCE)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return text
    finally:
        connection.close()


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return file.read().split()


def wait_until_it_answers(server, port, workers):
    """With all its workers: one that comes later is not among those that are started."""
    end = time.monotonic() + debuggers.PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            get(port)
            if len(children(server.pid)) >= workers:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


class Load:
    """Requests from several clients, until it is left. What failed is in `failed`."""

    def __init__(self, request):
        self._request = request
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(3)]
        self.done, self.failed = 0, []

    def _send(self):
        while not self._ended.is_set():
            try:
                self._request()
                self.done += 1
            except Exception as error:  # whatever it is, a client would see it
                self.failed.append(repr(error))
                return

    def wait_for(self, count):
        """Until so many more requests are done."""
        goal, end = self.done + count, time.monotonic() + debuggers.PATIENCE
        while self.done < goal and not self.failed:
            assert time.monotonic() < end
            time.sleep(0.01)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def tell(*words):
    outcome = cli_command.run(*words, "--yes", "--timeout", "60s", "--max-stop", "20s")
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    return outcome.stdout


def kept_by(pid):
    """How many blocks the application's line has in a process's table."""
    words = ["traces", pid, "-n", 1000000, "--include", SHOP, "--json", "--stop", "--max-stop", "20s"]
    outcome = cli_command.run(*words)
    assert outcome.status == 0, outcome
    return sum(trace["size"] == SIZE for trace in json.loads(outcome.stdout)["traces"])


def hunt(server, load, some=20):
    """Start tracing in all processes, find the line that keeps blocks, and stop, while the clients go on."""
    load.wait_for(some)
    started = tell("start", "--children", server.pid, "-f", 10)
    pids = [int(line.split(":")[0].split()[1]) for line in started.splitlines()]
    assert started.count("traced from now on, with 10 frames of each traceback; it was held still for") == len(pids)
    load.wait_for(3 * some)
    assert sum(kept_by(pid) for pid in pids) >= some
    assert tell("stop", "--children", server.pid).count("no longer traced; it was held still for") == len(pids)
    load.wait_for(some)


@pytest.mark.parametrize("name", SERVERS)
def test_no_request_fails_while_a_server_is_hunted(name, tmp_path):
    words, port = SERVERS[name], free_port()
    if not shutil.which(words[0]) or ("gevent" in name and not has_module("gevent")):
        pytest.skip("%s is not installed" % name)
    with running([word.format(port=port) for word in words], tmp_path) as server:
        wait_until_it_answers(server, port, 0 if name == "uvicorn" else 2)
        with Load(lambda: get(port)) as load:
            hunt(server, load)
        assert load.failed == []
        # When nobody asks anything, too.
        tell("start", "--children", server.pid)
        get(port)
        tell("stop", "--children", server.pid)
        get(port)
        assert server.poll() is None


CLIENT = """
import os, sys
sys.path.insert(0, %r)
import shop
while sys.stdin.readline():
    answer = shop.app.send_task("keep").get(timeout=%d, interval=0.01)
    print(answer, flush=True)
"""


@pytest.mark.skipif(not has_module("celery"), reason="celery is not installed")
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_no_task_fails_while_celery_is_hunted(pool, tmp_path):
    for name in ("tasks", "results"):
        (tmp_path / name).mkdir()
    environment = {"TM_CELERY": str(tmp_path), "C_FORCE_ROOT": "1"}
    words = [SYSTEM, "-m", "celery", "-A", "shop", "worker", "--pool", pool, "-c", "2", "--without-gossip"]
    client_code = CLIENT % (PROGRAMS, debuggers.PATIENCE)
    with running(words + ["--without-mingle"], tmp_path, **environment) as server, subprocess.Popen(
        [SYSTEM, "-c", client_code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, **environment),
    ) as client:
        lock = threading.Lock()

        def request():
            with lock:
                client.stdin.write(b"\n")
                client.stdin.flush()
                assert client.stdout.readline(), "the task failed"

        try:
            request()
            while len(children(server.pid)) < 2 and pool == "prefork":
                assert server.poll() is None
            with Load(request) as load:
                hunt(server, load, some=2)  # its queue in files is looked at once a second
            assert load.failed == [] and server.poll() is None
        finally:
            client.kill()
