"""The SCS search word for word, and random graphs to try a search on."""

import networkx as nx
import numpy as np

KINDS = ("random", "local", "blocks", "complete")


def naive_search(neighbors, max_size, cyclic, seed):
    """The search as the design words it, on a networkx graph, slow and plain."""
    n = len(neighbors)
    limit = n if max_size is None else max_size
    graph = nx.DiGraph((i, int(j)) for i in range(n) for j in neighbors[i])
    graph.add_nodes_from(range(n))
    group_id = np.arange(n, dtype=np.int32)
    order = np.random.default_rng(seed).permutation(n)
    found = True
    while found:
        found = False
        for start in order:
            if start not in graph:
                continue
            visited = []

            def visit(v, visited=visited):
                visited.append(v)
                for w in neighbors[v]:
                    if len(visited) < limit and w in graph and w not in visited:
                        visit(w)

            visit(int(start))
            members = set(visited)
            if cyclic:
                members = nx.ancestors(graph.subgraph(visited), start) | {int(start)}
            if len(members) > 1:
                found = True
                group_id[list(members)] = min(members)
                graph.remove_nodes_from(members)
    return group_id


def random_neighbors(rng, n, k, kind):
    """Neighbour lists [n, k] of a kind: self loops, repeated neighbours, sparse and complete."""
    if kind == "local":  # neighbours close by: many short cycles
        return (np.arange(n)[:, None] + rng.integers(-3, 4, (n, k))) % n
    if kind == "blocks":  # disconnected parts
        block = np.arange(n)[:, None] // 7 * 7
        return np.minimum(block + rng.integers(0, 7, (n, k)), n - 1)
    if kind == "complete":
        return np.stack([rng.permutation(n) for _ in range(n)])
    return rng.integers(0, n, (n, k))
