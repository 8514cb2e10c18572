"""Arithmetic: planets and their attraction. Floats come and go, and nothing lives."""


def bodies(count):
    return [[float(i), i * 0.5, -i * 0.25, 0.0, i * 0.01, 0.0, 1.0 + i] for i in range(count)]


def advance(system, pairs, step):
    for a, b in pairs:
        dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
        magnitude = step * (dx * dx + dy * dy + dz * dz + 0.01) ** -1.5
        for body, other, sign in ((a, b, -1.0), (b, a, 1.0)):
            body[3] += sign * dx * other[6] * magnitude
            body[4] += sign * dy * other[6] * magnitude
            body[5] += sign * dz * other[6] * magnitude
    for body in system:
        body[0] += step * body[3]
        body[1] += step * body[4]
        body[2] += step * body[5]


def run():
    system = bodies(5)
    pairs = [(a, b) for i, a in enumerate(system) for b in system[i + 1 :]]
    for _ in range(24000):
        advance(system, pairs, 0.001)
