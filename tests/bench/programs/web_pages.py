"""html.parser and urllib.parse: pages read, links followed, text escaped."""

import html
import html.parser
import urllib.parse


class Links(html.parser.HTMLParser):
    def __init__(self, base):
        super().__init__()
        self.base = base
        self.links = []
        self.text = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.links.append(urllib.parse.urljoin(self.base, dict(attributes).get("href", "")))

    def handle_data(self, data):
        self.text.append(data.strip())


def run():
    form = "<tr><td>%d</td><td><a href=\"../item/%d?a=%d&amp;b=2\">%s</a></td></tr>"
    rows = (form % (i, i, i, html.escape("<n & %d>" % i)) for i in range(1500))
    page = "<html><head><title>Items</title></head><body><table>%s</table></body></html>" % "\n".join(rows)
    for number in range(3):
        links = Links("http://shop.example/list/%d" % number)
        links.feed(page)
        for link in links.links:
            urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)
