"""The applications that services.py asks: each has /page/NUMBER, /pid, and /fork."""

import json
import os
import time

PAGE = "<ul>{% for item in items %}<li>{{ item.name|upper }}: {{ item.price }} ({{ item.tags|join(', ') }})</li>{% endfor %}</ul>"
FORKS = 40
kept = {}


def items(number):
    """What a page shows; the service keeps the latest ones."""
    made = [
        {"name": "item %d" % i, "price": i * number % 1000 / 10, "tags": ["tag%d" % (i * j % 17) for j in range(3)]}
        for i in range(40)
    ]
    kept[number % 500] = made
    return made


def fork_cost():
    """Seconds of processor time that a forked child uses which ends at once."""
    used = 0.0
    for _ in range(FORKS):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        usage = os.wait4(pid, 0)[2]
        used += usage.ru_utime + usage.ru_stime
    return json.dumps({"seconds": used / FORKS})


def flask_app():
    import flask

    app = flask.Flask("shop")
    template = app.jinja_env.from_string(PAGE)
    app.add_url_rule("/page/<int:number>", "page", lambda number: template.render(items=items(number)))
    app.add_url_rule("/pid", "pid", lambda: str(os.getpid()))
    app.add_url_rule("/fork", "fork", fork_cost)
    return app


def django_app():
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="not secret",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.template import Context, Template
    from django.urls import path

    template = Template(PAGE.replace("join(', ')", "join:', '"))
    urlpatterns.extend([
        path("page/<int:number>", lambda _, number: HttpResponse(template.render(Context({"items": items(number)})))),
        path("pid", lambda _: HttpResponse(str(os.getpid()))),
        path("fork", lambda _: HttpResponse(fork_cost())),
    ])  # fmt: skip
    return get_wsgi_application()


urlpatterns = []  # Django looks here


def asgi_app():
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    async def page(request):
        return JSONResponse({"items": items(int(request.path_params["number"])), "time": time.time()})

    async def pid(request):
        return PlainTextResponse(str(os.getpid()))

    async def fork(request):
        return PlainTextResponse(fork_cost())

    return Starlette(routes=[Route("/page/{number}", page), Route("/pid", pid), Route("/fork", fork)])
