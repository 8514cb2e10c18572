"""A WSGI application that keeps what each request allocates."""

import os

kept = []


def application(environ, start_response):
    size = int(environ["QUERY_STRING"] or 0)
    kept.append([bytes(4000) for _ in range(size // 4033)])
    answer = b"%d %d" % (os.getpid(), id(kept[-1][0]) if kept[-1] else 0)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
