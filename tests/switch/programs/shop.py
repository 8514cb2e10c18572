"""An application that keeps a block for each request: for WSGI, for ASGI, and as a task of celery."""

import os

KEPT = {}


def keep():
    KEPT[len(KEPT)] = bytes(20000)
    return b"%d %d" % (os.getpid(), len(KEPT))


def application(environ, start_response):
    body = keep()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def application_of_asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    body = keep()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def keep_as_task():
    return keep().decode()


def make_celery(folder):
    from celery import Celery

    app = Celery("shop", broker="filesystem://", backend="file://" + os.path.join(folder, "results"))
    places = ("data_folder_in", "data_folder_out", "processed_folder")
    app.conf.broker_transport_options = {name: os.path.join(folder, "tasks") for name in places}
    app.task(name="keep")(keep_as_task)
    return app


if "TM_CELERY" in os.environ:
    app = make_celery(os.environ["TM_CELERY"])
