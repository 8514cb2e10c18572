"""dataclasses, namedtuple, enum and copy: records made, changed, copied and sorted."""

import collections
import copy
import dataclasses
import enum


class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    BLUE = 3


@dataclasses.dataclass(order=True)
class Car:
    number: int
    name: str
    colour: Colour = dataclasses.field(compare=False)
    parts: list = dataclasses.field(default_factory=list, compare=False)


Point = collections.namedtuple("Point", "x y")


def run():
    colours = list(Colour)
    cars = [Car(i * 7 % 1000, "car %d" % i, colours[i % 3], [Point(i, -i)]) for i in range(5000)]
    copies = copy.deepcopy(cars)
    copies.sort()
    [dataclasses.replace(car, colour=Colour.RED) for car in copies]
    [dataclasses.asdict(car) for car in copies[:1500]]
    [part._replace(x=0) for car in copies for part in car.parts]
