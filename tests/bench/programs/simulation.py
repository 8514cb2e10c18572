"""heapq and random: customers queue at tills; calls of methods, and hardly any allocation which lives."""

import heapq
import random


class Till:
    def __init__(self, shop):
        self.shop = shop
        self.queue = []
        self.busy = False

    def arrive(self, customer):
        self.queue.append(customer)
        if not self.busy:
            self.serve()

    def serve(self):
        self.busy = bool(self.queue)
        if self.busy:
            self.shop.after(self.shop.random.random() * 3, self.leave, self.queue.pop(0))

    def leave(self, customer):
        self.shop.served += 1
        self.serve()


class Shop:
    def __init__(self, tills):
        self.random = random.Random(1)
        self.now, self.served, self.number = 0.0, 0, 0
        self.events = []
        self.tills = [Till(self) for _ in range(tills)]

    def after(self, delay, action, customer):
        self.number += 1
        heapq.heappush(self.events, (self.now + delay, self.number, action, customer))

    def enter(self, customer):
        min(self.tills, key=lambda till: len(till.queue)).arrive(customer)
        self.after(self.random.expovariate(2), self.enter, customer + 1)

    def run(self, customers):
        self.after(0, self.enter, 0)
        while self.served < customers:
            self.now, _, action, customer = heapq.heappop(self.events)
            action(customer)


def run():
    Shop(8).run(60000)
