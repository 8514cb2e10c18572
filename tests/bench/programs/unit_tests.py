"""unittest and mock: a suite of small tests."""

import io
import unittest
import unittest.mock


class Basket:
    def __init__(self, prices):
        self.prices = prices
        self.items = {}

    def add(self, name, count=1):
        self.items[name] = self.items.get(name, 0) + count

    def total(self):
        return sum(self.prices.of(name) * count for name, count in self.items.items())


class BasketTest(unittest.TestCase):
    def setUp(self):
        self.prices = unittest.mock.Mock()
        self.prices.of.return_value = 3

    def check(self, count):
        basket = Basket(self.prices)
        basket.add("apple", count)
        basket.add("pear")
        self.assertEqual(basket.total(), 3 * count + 3)
        self.prices.of.assert_called_with("pear")
        with self.assertRaises(TypeError):
            basket.add()


for _count in range(60):
    setattr(BasketTest, "test_%d" % _count, lambda self, count=_count: self.check(count))


def run():
    for _ in range(10):
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(BasketTest)
        result = unittest.TextTestRunner(io.StringIO()).run(suite)
        assert result.wasSuccessful()
