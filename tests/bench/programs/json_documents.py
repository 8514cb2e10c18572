"""json: documents parsed and written."""

import json


def run():
    document = [{"id": i, "name": "name %d" % i, "tags": ["a", "b", str(i)], "price": i / 7} for i in range(2000)]
    text = json.dumps(document)
    for _ in range(12):
        json.dumps(json.loads(text), indent=1)
