"""A small shop over HTTP: http.server and sqlite3, nothing else. One of its handlers leaks.

    GET  /products?max=N            the products, the cheapest first
    GET  /products/ID               one product
    POST /orders                    {"customer": NAME, "product": ID, "quantity": N} places an order
    GET  /orders?customer=NAME      what the customer ordered; leaks
    GET  /diagnostics               how many reports are kept, and the id() of the oldest one

Prints "listening on PORT" when it is ready. `Shop.order_report` keeps each report in case the client asks for it again.
The key is the number of the request, which no later request has.
"""

import argparse
import http.server
import itertools
import json
import os
import sqlite3
import urllib.parse

SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL, description TEXT NOT NULL);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, product INTEGER NOT NULL REFERENCES product,
                       quantity INTEGER NOT NULL);
CREATE INDEX purchase_by_customer ON purchase (customer);
"""

REPORT = """
SELECT purchase.id AS number, product.name, product.description, purchase.quantity,
       purchase.quantity * product.price AS total
FROM purchase JOIN product ON product.id = purchase.product WHERE customer = ? ORDER BY purchase.id
"""


class Shop:
    """The shop's data. Each call opens the database itself, so any thread may call."""

    def __init__(self, path):
        self.path = path
        self.reports = {}
        self.numbers = itertools.count(1)
        with self.connect() as database:
            database.executescript(SCHEMA)
            database.executemany(
                "INSERT INTO product (name, price, description) VALUES (?, ?, ?)",
                [("product %d" % i, 100 + i * 7 % 900, "a useful thing, number %d; " % i * 16) for i in range(200)],
            )
        database.close()

    def connect(self):
        database = sqlite3.connect(self.path, timeout=30)
        database.row_factory = sqlite3.Row
        return database

    def ask(self, query, *values):
        database = self.connect()
        try:
            return [dict(row) for row in database.execute(query, values)]
        finally:
            database.close()

    def order(self, customer, product, quantity):
        database = self.connect()
        try:
            with database:
                return database.execute(
                    "INSERT INTO purchase (customer, product, quantity) VALUES (?, ?, ?)", (customer, product, quantity)
                ).lastrowid
        finally:
            database.close()

    def order_report(self, customer):
        database = self.connect()
        try:
            number = next(self.numbers)
            self.reports[number] = [dict(row) for row in database.execute(REPORT, (customer,))]
            return {"report": number, "orders": self.reports[number]}
        finally:
            database.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        shop = self.server.shop
        if url.path == "/products":
            maximum = int(query.get("max", 1 << 30))
            self.answer(shop.ask("SELECT * FROM product WHERE price <= ? ORDER BY price", maximum))
        elif url.path.startswith("/products/"):
            self.answer(shop.ask("SELECT * FROM product WHERE id = ?", url.path.rsplit("/", 1)[1]))
        elif url.path == "/orders":
            self.answer(shop.order_report(query.get("customer", "")))
        elif url.path == "/diagnostics":
            self.answer({"reports": len(shop.reports), "oldest": id(shop.reports[1]) if shop.reports else None})
        else:
            self.answer({"error": "no such page"}, 404)

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = self.server.shop.order(order["customer"], order["product"], order["quantity"])
        self.answer({"order": number}, 201)

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Requests are not logged: the demo's output is the debuggers'."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", required=True, help="where to work and to make the database")
    os.chdir(parser.parse_args().directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.shop = Shop(os.path.abspath("shop.sqlite"))
    print("listening on", server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
