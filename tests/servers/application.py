"""A WSGI application that keeps a block for each request. It answers with its process's id and how many it has."""

import os

KEPT = {}


def application(environ, start_response):
    KEPT[len(KEPT)] = bytes(20000)
    body = b"%d %d" % (os.getpid(), len(KEPT))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
