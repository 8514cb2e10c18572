"""networkx: graphs built, searched and measured."""

import networkx


def run():
    graph = networkx.Graph()
    for i in range(1200):
        for k in (1, 7, 31):
            graph.add_edge(i, i * k % 1200 + k, weight=(i * k) % 13 + 1)
    networkx.single_source_dijkstra(graph, 1)
    networkx.minimum_spanning_tree(graph)
    list(networkx.connected_components(graph))
    networkx.average_clustering(graph)
    for source in range(0, 30):
        networkx.single_source_shortest_path_length(graph, source)
