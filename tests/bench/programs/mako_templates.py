"""mako: templates compiled and rendered."""

from mako.template import Template

TEXT = """<%def name="cell(value)"><td>${value | h}</td></%def>
<table>
% for row in rows:
  <tr>${cell(row["number"])}${cell(row["name"].title())}${cell("%.2f" % row["price"])}
  % for tag in row["tags"]:
    <b>${tag}</b>
  % endfor
  </tr>
% endfor
</table>
"""


def run():
    rows = [{"number": i, "name": "item <%d>" % i, "price": i / 3, "tags": ["a", "b", str(i)]} for i in range(700)]
    for _ in range(4):
        template = Template(TEXT)
        for _ in range(5):
            template.render(rows=rows)
