"""django: requests through URLs, middleware, the database and templates."""

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="not secret",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

PAGE = "<ul>{% for user in users %}<li>{{ user.username|upper }}, {{ user.email|default:'none' }}</li>{% endfor %}</ul>"


def users(request, start):
    found = User.objects.filter(id__gte=start).exclude(username="").order_by("username")[:30]
    return HttpResponse(Template(PAGE).render(Context({"users": found})))


urlpatterns = [path("users/<int:start>/", users)]


def run():
    call_command("migrate", verbosity=0, run_syncdb=True)
    User.objects.bulk_create(User(username="user%d" % i, email="u%d@site.example" % i) for i in range(300))
    client = Client()
    for start in range(40):
        assert client.get("/users/%d/" % start).status_code == 200
