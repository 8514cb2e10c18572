"""xml.etree: a catalogue built, written, parsed and searched."""

import io
from xml.etree import ElementTree


def run():
    root = ElementTree.Element("catalogue")
    for i in range(3000):
        book = ElementTree.SubElement(root, "book", {"id": str(i)})
        ElementTree.SubElement(book, "title").text = "Title %d" % i
        ElementTree.SubElement(book, "price").text = "%.2f" % (i / 3)
    text = ElementTree.tostring(root)
    for _ in range(6):
        tree = ElementTree.parse(io.BytesIO(text))
        prices = [float(book.findtext("price")) for book in tree.iterfind("book") if book.find("title") is not None]
        sorted(prices)
        tree.write(io.BytesIO())
