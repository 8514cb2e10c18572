"""jinja2: templates compiled and rendered, with inheritance, loops, filters and macros."""

import jinja2

TEMPLATES = {
    "base": "<html><title>{% block title %}{% endblock %}</title><body>{% block body %}{% endblock %}</body></html>",
    "page": """{% extends "base" %}{% macro cell(value) %}<td>{{ value|e }}</td>{% endmacro %}
{% block title %}{{ title|upper }}{% endblock %}
{% block body %}<table>{% for row in rows if row.number is divisibleby 1 %}
<tr class="{{ loop.cycle("odd", "even") }}">{{ cell(row.number) }}{{ cell(row.name|title) }}
{{ cell("%.2f"|format(row.price)) }}{{ cell(row.tags|join(", ")) }}</tr>
{% else %}none{% endfor %}</table>{% endblock %}""",
}


def run():
    rows = [{"number": i, "name": "item <%d>" % i, "price": i / 3, "tags": ["a", "b", str(i)]} for i in range(400)]
    for _ in range(4):
        environment = jinja2.Environment(loader=jinja2.DictLoader(TEMPLATES))
        for _ in range(4):
            environment.get_template("page").render(title="items", rows=rows)
