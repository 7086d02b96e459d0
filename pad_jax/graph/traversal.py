"""The depth-first search of the SCSs, compiled by numba."""

import numpy as np

from pad_jax.graph.compilation import compiled

_FREE, _TAKEN = -1, -2  # in no subgraph yet; in one


@compiled
def search(neighbors, order, max_size, cyclic):
    n, k = neighbors.shape
    group_id = np.arange(n).astype(np.int32)
    place = np.full(n, _FREE, np.int32)  # in ``visited``, for the vertices that are
    visited = np.empty(max_size, np.int32)
    path = np.empty(max_size, np.int32)  # places of the vertices from the start to the current one
    edge = np.empty(max_size, np.int32)  # the next edge to try, by place
    returns = np.empty(max_size, np.bool_)  # whether the start can be reached, by place
    starts, left = order.copy(), n
    found = True
    while found:
        found = False
        num_starts, left = left, 0
        for start in starts[:num_starts]:
            if place[start] == _TAKEN:
                continue
            # Depth-first, nearest neighbour first.
            visited[0], place[start], edge[0], path[0] = start, 0, 0, 0
            size, depth = 1, 1
            while depth > 0 and size < max_size:
                here = path[depth - 1]
                e = edge[here]
                if e == k:
                    depth -= 1
                    continue
                v = neighbors[visited[here], e]
                edge[here] = e + 1
                if place[v] == _FREE:
                    visited[size], place[v], edge[size], path[depth] = v, size, 0, size
                    size += 1
                    depth += 1
            # Which of the visited reach the start inside the visited set?
            returns[:size] = not cyclic
            returns[0] = True
            grown = cyclic
            while grown:
                grown = False
                for p in range(size - 1, 0, -1):
                    if returns[p]:
                        continue
                    for e in range(k):
                        q = place[neighbors[visited[p], e]]
                        if q >= 0 and returns[q]:
                            returns[p] = grown = True
                            break
            smallest, members = n, 0
            for p in range(size):
                if returns[p]:
                    members += 1
                    smallest = min(smallest, visited[p])
            for p in range(size):
                v = visited[p]
                place[v] = _FREE
                if returns[p] and members > 1:
                    place[v] = _TAKEN
                    group_id[v] = smallest
            if members > 1:
                found = True
            else:  # to be tried again when others have left the graph
                starts[left] = start
                left += 1
    return group_id
