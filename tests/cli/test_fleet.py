"""`metrics` and `push`: what leaves this machine has the form that is documented for it, and the numbers of tm-top.

Strategy: a server on the loopback takes what is pushed, and checks it as Pyroscope's and Parca's documents have it; a reader
of OpenMetrics, Prometheus's own, reads the metrics. Neither server was asked itself.
"""

import base64
import contextlib
import gzip
import http.server
import json
import os
import re
import stat
import threading
import time

import debuggers
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough


# -- what is in a profile


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of each field of a message of a protocol buffer."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            assert key & 7 == 2
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            assert len(value) == length
        yield key >> 3, value


def numbers(packed):
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield value


def bytes_and_time(profile):
    """The sum of the last value of each sample, inuse_space, and the time of a profile."""
    message = list(fields(gzip.decompress(profile)))
    samples = [dict(fields(value)) for number, value in message if number == 2]
    (when,) = [value for number, value in message if number == 9]
    return sum(list(numbers(sample[2]))[-1] for sample in samples), when / 1e9


# -- a server


@contextlib.contextmanager
def server(status=200, answer=b"{}"):
    """The address of a server that keeps the (path, headers, body) of what is posted."""
    posted = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield "http://127.0.0.1:%d" % listening.server_address[1], posted
        finally:
            listening.shutdown()
            thread.join()


def push(*words, **options):
    outcome = run("push", *words, **options)
    if "nothing can be sent" in outcome.stderr or "cannot send: libcurl" in outcome.stderr:
        pytest.skip("no libcurl: make deps")
    return outcome


def pairs(labels):
    assert all(set(label) == {"name", "value"} for label in labels)
    found = {label["name"]: label["value"] for label in labels}
    assert len(found) == len(labels)
    return found


def total(target):
    return json.loads(run("top", target, "--json").stdout)["total_size"]


def test_pyroscope_gets_what_its_documents_ask_for(service):
    before = time.time()
    with server() as (url, posted):
        header = "X-Scope-OrgID: shop"
        outcome = push(
            url + "/", service.pid, "--label", 'env=p"ro\\d', "--label=service_name=shop", "--header", header
        )
    assert outcome.status == 0 and outcome.stderr == ""
    ((path, headers, body),) = posted
    assert path == "/push.v1.PusherService/Push"
    assert headers["Content-Type"] == "application/json" and headers["X-Scope-OrgID"] == "shop"
    (series,) = json.loads(body)["series"]
    assert set(series) == {"labels", "samples"}
    labels = pairs(series["labels"])
    assert labels.pop("host") == os.uname().nodename
    assert labels == {"__name__": "memory", "service_name": "shop", "pid": str(service.pid), "env": 'p"ro\\d'}
    (sample,) = series["samples"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", sample["ID"])
    size, when = bytes_and_time(base64.b64decode(sample["rawProfile"], validate=True))
    assert size == total(service.pid)
    assert before <= when <= time.time()
    assert outcome.stdout.startswith("%d: sent to %s/push" % (service.pid, url))


def test_parca_gets_what_its_documents_ask_for(service, core):
    with server() as (url, posted):
        assert push(url, core, service.pid, "--to", "parca").status == 0
    assert [path for path, _, _ in posted] == ["/api/profiles/writeraw"] * 2
    of_core, of_process = (json.loads(body) for _, _, body in posted)
    assert set(of_core) == {"series", "normalized"}
    (series,) = of_core["series"]
    labels = pairs(series["labels"]["labels"])
    assert labels["service_name"] == os.path.basename(core) and "pid" not in labels
    (sample,) = series["samples"]
    assert set(sample) == {"rawProfile"}
    size, when = bytes_and_time(base64.b64decode(sample["rawProfile"], validate=True))
    assert size == total(core) and abs(when - os.stat(core).st_mtime) < 0.001
    assert pairs(of_process["series"][0]["labels"]["labels"])["pid"] == str(service.pid)


def test_what_goes_wrong_is_said(service, tmp_path):
    with server(422, b"bad \x1b[31mlabel") as (url, _):
        outcome = push(url, service.pid)
        assert outcome.status == 1
        assert "refused it with status 422: bad \\x1b[31mlabel" in outcome.stderr
    outcome = push(url, service.pid)
    assert outcome.status == 1 and "cannot send to %s" % url in outcome.stderr
    for words, message in (
        ((service.pid,), "missing URL"),
        (("http://x", service.pid, "--to", "both"), "neither pyroscope nor parca"),
        (("ftp://x", service.pid), "is not an address of http or https"),
        (("http://x", service.pid, "--label", "1=x"), "not NAME=VALUE"),
        (("http://x", service.pid, "--header", "a: b\r\nc: d"), "is not a header"),
        (("http://x",), "missing target"),
    ):
        outcome = push(*words)
        assert (outcome.status, message in outcome.stderr) == (2, True), outcome.stderr
    with server() as (url, posted):
        outcome = push(url, service.pid, os.getppid(), environment={"TMPDIR": str(tmp_path)})
    assert outcome.status == 0 and len(posted) == 1 and outcome.stderr.startswith("tracemortem: %d: " % os.getppid())
    assert os.listdir(str(tmp_path)) == []


# -- metrics


@pytest.mark.parametrize("name", ["type", "filename", "lineno", "function"])
def test_a_label_that_samples_have_is_refused(name):
    outcome = run("metrics", os.getpid(), "--label", name + "=x")
    assert outcome.status == 2 and '"%s" is a label that samples have already' % name in outcome.stderr


def test_of_several_errors_of_a_kind_the_first_says_what_to_do(service):
    outcome = run("metrics", 999999998, service.pid, 999999999)
    alone = run("metrics", 999999998).stderr
    lines = outcome.stderr.splitlines()
    assert outcome.stderr.startswith("tracemortem: 999999998: " + alone[len("tracemortem: ") :]), (outcome, alone)
    assert lines[-1].startswith("tracemortem: 999999999: ") and len(lines) == len(alone.splitlines()) + 1


def families(text):
    """{name: family} by Prometheus's own reader of OpenMetrics, which accepts nothing else."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def values(family):
    return {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}


def test_metrics_are_those_of_info_and_top(service):
    outcome = run("metrics", service.pid, "-n", 3, "--label", 'env=a\\b"c\nd')
    assert outcome.status == 0 and outcome.stderr == ""
    found = families(outcome.stdout)
    info = json.loads(run("info", service.pid, "--json").stdout)
    top = json.loads(run("top", service.pid, "-n", 3, "--json").stdout)
    own = {"pid": str(service.pid), "env": 'a\\b"c\nd', "process": os.path.basename(service.python)[:15]}
    for name, value in (
        ("traced_bytes", info["traced_memory"]),
        ("traced_peak_bytes", info["peak_traced_memory"]),
        ("blocks", info["blocks"]),
        ("in_flight_bytes", 0),
        ("missing_records", 0),
        ("lost_blocks", 0),
    ):
        ((labels, found_value),) = values(found["tracemortem_" + name]).items()
        assert found_value == value
        assert {key: value for key, value in labels if key != "process"} == {"pid": own["pid"], "env": own["env"]}
    sizes, counts = values(found["tracemortem_site_bytes"]), values(found["tracemortem_site_blocks"])
    assert sizes.keys() == counts.keys() and len(sizes) == 3
    by_place = {(dict(labels)["filename"], int(dict(labels)["lineno"])): size for labels, size in sizes.items()}
    assert by_place == {(row["filename"], row["lineno"]): row["size"] for row in top["statistics"]}


HOSTILE = '/srv/"a\\b\n\u202e{x="y"}.py'


def test_metrics_of_many_are_one_text_and_hostile_names_are_values(service, python, tmp_path):
    script = tmp_path / "hostile.py"
    script.write_text(
        "import os, sys\nnames = {}\nexec(compile('kept = [bytes(5000000)]', %r, 'exec'), names)\n"
        "os.write(int(os.environ['TM_READY']), b'ready\\n')\nsys.stdin.readline()\n" % HOSTILE
    )
    with debuggers.start_traced_process(python, str(script)) as other:
        outcome = run("metrics", service.pid, other.pid, os.getppid(), "-n", 2)
    assert outcome.status == 0 and "%d: " % os.getppid() in outcome.stderr
    found = families(outcome.stdout)
    assert len(values(found["tracemortem_traced_bytes"])) == 2
    names = [dict(labels)["filename"] for labels in values(found["tracemortem_site_bytes"])]
    assert len(names) == 4 and '/srv/"a\\b\\n\\u202e{x="y"}.py' in names
    assert outcome.stdout.count("# TYPE tracemortem_site_bytes ") == outcome.stdout.count("# EOF") == 1


def test_a_file_of_metrics_appears_whole(service, tmp_path):
    path = tmp_path / "python.prom"
    for _ in range(2):
        assert run("metrics", service.pid, "-o", path).status == 0
        assert families(path.read_text())
        assert os.listdir(str(tmp_path)) == ["python.prom"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    before = path.read_bytes()
    assert run("metrics", os.getppid(), "-o", path).status != 0
    assert path.read_bytes() == before and os.listdir(str(tmp_path)) == ["python.prom"]


# -- report


def test_a_report_is_the_page_and_is_opened(service, core, tmp_path):
    shown = tmp_path / "shown"
    opener = tmp_path / "xdg-open"
    opener.write_text('#!/bin/sh\necho "$1" >%s\n' % shown)
    opener.chmod(0o755)
    environment = {"PATH": "%s:%s" % (tmp_path, os.environ["PATH"])}
    page = tmp_path / "page.html"
    outcome = run("report", service.pid, "--base", core, "-o", page, "--open", environment=environment)
    if "has no HTML page" in outcome.stderr:
        pytest.skip("built without the page: npm fetched no libraries")
    assert outcome.status == 0 and shown.read_text() == "%s\n" % page
    assert page.read_text().startswith("<!DOCTYPE html>") and '"compared": true' in page.read_text()
    again = run("report", service.pid, "-o", page)
    assert again.status == 1 and "--force" in again.stderr
    assert run("report", service.pid, cwd=str(tmp_path)).status == 0 and (tmp_path / "report.html").exists()
    assert "\\u003ctype>" not in page.read_text()
    assert run("report", service.pid, "--types", "-o", page, "--force").status == 0
    assert "\\u003ctype>" in page.read_text()
    opener.write_text("#!/bin/sh\nexit 3\n")
    outcome = run("report", service.pid, "-o", page, "--force", "--open", environment=environment)
    assert outcome.status == 1 and "found no program" in outcome.stderr
    outcome = run("report", service.pid, "-o", page, "--force", "--open", environment={"PATH": str(tmp_path / "none")})
    assert outcome.status == 1 and "cannot run xdg-open" in outcome.stderr


@pytest.mark.parametrize("command", ["report", "metrics", "push"])
def test_help_fits_and_completion_has_it(command):
    text = run(command, "--help")
    assert text.status == 0 and text.stdout == run("help", command).stdout
    assert max(map(len, text.stdout.splitlines())) <= 80
    assert command in run("--complete", "").stdout.split()
    assert set(run("--complete", command, "--l").stdout.split()) <= set(text.stdout.split())
    assert os.path.exists(COMMAND)
