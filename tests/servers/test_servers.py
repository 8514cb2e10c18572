"""Real servers that load Python by dlopen(): uwsgi and Apache's mod_wsgi, with several workers and two applications each.

Each application is in a subinterpreter of its own, and says how many blocks it keeps in which process. Each process's table
must show as many at its line. `make test-all` installs the servers.
"""

import contextlib
import grp
import http.client
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
for other in ("support", "packaging"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), other))

import debuggers  # noqa: E402
import looking  # noqa: E402
import packing  # noqa: E402
from selection import thorough  # noqa: E402

APPLICATION = os.path.join(HERE, "application.py")
LINE = next(number for number, line in enumerate(open(APPLICATION), 1) if "bytes(20000)" in line)
SIZE = 20033
REQUESTS = 30
MODULES = "/usr/lib/apache2/modules"

# What the start-up hook does. A test below has the one that `make install` places in a folder of the system.
HOOK = "import tracemortem._startup\n"


class Unix(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


@pytest.fixture
def folder():
    """Not below pytest's own folder: there, Apache's user may not look."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for name in ("one.py", "two.py"):
            shutil.copy(APPLICATION, folder / name)
        (folder / "sitecustomize.py").write_text(HOOK)
        yield folder


def variables(folder, way):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_PRELOAD"))}
    environment["TRACEMORTEM"] = "10"
    if way in ("preloaded", "both"):
        environment["LD_PRELOAD"] = debuggers.TRACER
    if way in ("hook", "both"):
        environment["PYTHONPATH"] = "%s:%s" % (folder, debuggers.PACKAGE_PATH)
    return environment


@contextlib.contextmanager
def running(command, folder, way):
    """A server and its workers, until it is left. They are killed: uwsgi's threads sometimes miss the order to end."""
    words = [str(word) for word in command]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            words, env=variables(folder, way), stdout=log, stderr=log, cwd=str(folder), start_new_session=True
        )
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def get(connect, path):
    connection = connect()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return map(int, text.split())
    finally:
        connection.close()


def wait_until_it_answers(server, folder, connect):
    end = time.monotonic() + debuggers.PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            return get(connect, "/one")
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    raise AssertionError("the server does not answer:\n%s" % (folder / "log").read_text(errors="replace"))


def require_what_it_holds(server, folder, connect):
    wait_until_it_answers(server, folder, connect)
    kept = {}
    for name in ("one", "two") * REQUESTS:
        pid, count = get(connect, "/" + name)
        kept[pid, name] = max(count, kept.get((pid, name), 0))
    assert sum(kept.values()) > 2 * REQUESTS
    for (pid, name), count in kept.items():
        traces = looking.answer("tm-traces -n 100000 --include '%s'" % (folder / (name + ".py")), pid=pid)["traces"]
        held = [trace for trace in traces if trace["traceback"][-1]["lineno"] == LINE and trace["size"] == SIZE]
        assert len(held) == count, (name, kept)
    assert "tracemortem" not in (folder / "log").read_text(errors="replace").replace(str(folder), "")


def uwsgi(folder):
    """The command."""
    words = ["uwsgi", "--plugin", "python3", "--http-socket", folder / "socket", "--master", "--processes", 2]
    words += ["--enable-threads", "--threads", 2, "--manage-script-name", "--die-on-term"]
    for name in ("one", "two"):
        words += ["--mount", "/%s=%s" % (name, folder / (name + ".py"))]
    return words


@thorough
@pytest.mark.skipif(shutil.which("uwsgi") is None, reason="uwsgi is not installed")
@pytest.mark.parametrize("way", ["preloaded", "hook", "both"])
def test_the_workers_of_uwsgi_show_what_its_applications_hold(folder, way):
    with running(uwsgi(folder), folder, way) as server:
        require_what_it_holds(server, folder, lambda: Unix(str(folder / "socket")))


# Shows its first argument as /usr/local to the command that the others are, and to nobody else.
AS_USR_LOCAL = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /usr/local; exec "$@"']


@thorough
@pytest.mark.skipif(shutil.which("uwsgi") is None, reason="uwsgi is not installed")
def test_uwsgi_is_traced_by_what_make_install_places(folder):
    target = folder / "target"
    packing.make("install", "DESTDIR=%s" % target, "PREFIX=/usr/local", "PYTHON=/usr/bin/python3")
    (folder / "sitecustomize.py").unlink()
    local = AS_USR_LOCAL + [str(target / "usr" / "local")]
    if os.getuid() != 0 or subprocess.call(local + ["true"], stderr=subprocess.DEVNULL) != 0:
        pytest.skip("mount namespaces need root")
    with running(local + uwsgi(folder), folder, "installed") as server:
        require_what_it_holds(server, folder, lambda: Unix(str(folder / "socket")))


CONFIGURATION = """
ServerName localhost
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User {user}
Group {group}
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess pair processes=2 threads=2
WSGIProcessGroup pair
WSGIScriptAlias /one {folder}/one.py
WSGIScriptAlias /two {folder}/two.py
<Directory {folder}>
Require all granted
</Directory>
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@thorough
@pytest.mark.skipif(not os.path.exists(MODULES + "/mod_wsgi.so"), reason="Apache's mod_wsgi is not installed")
def test_the_workers_of_mod_wsgi_show_what_its_applications_hold(folder):
    """Apache loads the module, unloads it, and loads it again."""
    port = free_port()
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    if os.getuid() == 0:
        user = group = "www-data"  # it refuses to serve as root
    names = dict(folder=folder, port=port, modules=MODULES, user=user, group=group)
    (folder / "httpd.conf").write_text(CONFIGURATION.format(**names))
    command = ["/usr/sbin/apache2", "-d", folder, "-f", folder / "httpd.conf", "-DFOREGROUND"]
    with running(command, folder, "preloaded") as server:
        require_what_it_holds(server, folder, lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=600))
