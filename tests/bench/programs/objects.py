"""Many small objects, short-lived and long-lived: binary trees."""


class Node:
    def __init__(self, left, right):
        self.left = left
        self.right = right


def tree(depth):
    return Node(tree(depth - 1), tree(depth - 1)) if depth else Node(None, None)


def count(node):
    return 1 + count(node.left) + count(node.right) if node.left else 1


def run():
    kept = tree(15)
    for _ in range(12):
        count(tree(13))
    return kept
