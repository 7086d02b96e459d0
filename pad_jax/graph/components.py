"""Strong components of a graph that grows edge by edge, all at once, compiled by numba.

Tarjan: A hierarchical strong components algorithm. Information Processing Letters, 1982, asks the
same question. The answer here is by bisection of the levels, in the same O(M log M), with fewer
data structures: the components at the middle level tell for each edge whether its ends come
together before or after it. Those before are one half of the problem; for the other half every
component is one vertex.
"""

import numpy as np

from pad_jax.graph.compilation import compiled

_SAMPLE = 31  # edges whose levels the middle one is estimated from


@compiled
def merges(source, target, level, num_vertices):
    """Which components come together, and at which level.

    Args:
      source, target, level: int32 [M], the edges, and when each enters, counted from 0. All three
        are overwritten.
      num_vertices: N.

    Returns:
      (level, first, second), int32 [m] each, m < N: at a level the component of ``second`` becomes
      part of that of ``first``. A component is named by its smallest vertex; several that come
      together at a level are as many rows with one ``first``.
    """
    n, num_edges = num_vertices, len(source)
    out_level = np.empty(n, np.int32)
    out_first = np.empty(n, np.int32)
    out_second = np.empty(n, np.int32)
    out = 0
    # Of the vertices of one part of the problem, numbered from 0 within it.
    local = np.full(n, -1, np.int32)
    vertex = np.empty(n, np.int32)
    component = np.empty(n, np.int32)
    name = np.empty(n, np.int32)
    begin = np.empty(n + 1, np.int32)
    adjacent = np.empty(num_edges, np.int32)
    work = np.empty((5, n), np.int32)
    later = np.empty((3, num_edges), np.int32)
    sample = np.empty(_SAMPLE, np.int32)
    # Parts to do: edges from..to, which all come to lie within components at levels low..high. The
    # first part is none: what comes together at no level is found by it and left out.
    last = np.int32(0)
    for e in range(num_edges):
        last = max(last, level[e])
    todo = [(0, num_edges, np.int32(0), last + np.int32(1))]
    while len(todo) > 0:
        start, stop, low, high = todo.pop()
        size = 0
        for e in range(start, stop):
            for v in (source[e], target[e]):
                if local[v] < 0:
                    local[v] = size
                    vertex[size] = v
                    size += 1
        if size == 0:
            continue
        if size == 2 and high <= last:
            # Together when there is an edge each way.
            a, b = min(vertex[0], vertex[1]), max(vertex[0], vertex[1])
            there, back = high, high
            for e in range(start, stop):
                if source[e] == a:
                    there = min(there, level[e])
                else:
                    back = min(back, level[e])
            out_level[out], out_first[out], out_second[out] = max(there, back), a, b
            out += 1
            local[a] = local[b] = -1
            continue
        if low == high:
            # All edges join: what is connected at all is one component.
            for i in range(size):
                component[i] = i
            for e in range(start, stop):
                a, b = _root(component, local[source[e]]), _root(component, local[target[e]])
                if vertex[a] < vertex[b]:
                    component[b] = a
                elif vertex[b] < vertex[a]:
                    component[a] = b
            for i in range(size):
                root = _root(component, i)
                if root != i:
                    out_level[out], out_first[out] = high, vertex[root]
                    out_second[out] = vertex[i]
                    out += 1
                local[vertex[i]] = -1
            continue
        middle = last if high > last else _middle(level, start, stop, low, high, sample)
        # The edges that have entered by then, by source.
        begin[: size + 1] = 0
        for e in range(start, stop):
            if level[e] <= middle:
                begin[local[source[e]] + 1] += 1
        for i in range(size):
            begin[i + 1] += begin[i]
        place = work[0]
        place[:size] = begin[:size]
        for e in range(start, stop):
            if level[e] <= middle:
                i = local[source[e]]
                adjacent[place[i]] = local[target[e]]
                place[i] += 1
        count = _strong_components(size, begin, adjacent, component, work)
        name[:count] = n
        for i in range(size):
            name[component[i]] = min(name[component[i]], vertex[i])
        before, after = start, 0
        for e in range(start, stop):
            a, b, t = component[local[source[e]]], component[local[target[e]]], level[e]
            if a != b:
                later[0, after], later[1, after], later[2, after] = name[a], name[b], t
                after += 1
            elif t <= middle:
                source[before], target[before], level[before] = source[e], target[e], t
                before += 1
        for i in range(size):
            local[vertex[i]] = -1
        if high <= last:
            source[before : before + after] = later[0, :after]
            target[before : before + after] = later[1, :after]
            level[before : before + after] = later[2, :after]
            todo.append((before, before + after, middle + np.int32(1), high))
        todo.append((start, before, low, middle))
    return out_level[:out], out_first[:out], out_second[:out]


@compiled
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _middle(level, start, stop, low, high, sample):
    """A level of low..high-1 before and after which about as many edges enter."""
    count = 0
    step = max(1, (stop - start) // len(sample))
    for e in range(start, stop, step):
        if low <= level[e] <= high and count < len(sample):
            # Inserted where it belongs.
            i = count
            while i > 0 and sample[i - 1] > level[e]:
                sample[i] = sample[i - 1]
                i -= 1
            sample[i] = level[e]
            count += 1
    middle = sample[count // 2] if count > 0 else (low + high) // 2
    return np.int32(min(middle, high - 1))


@compiled
def _strong_components(n, begin, adjacent, component, work):
    """Tarjan's components of a graph, numbered from 0 into ``component``; gives their count."""
    place, number, lowest, stack, path = work
    number[:n] = 0
    component[:n] = -1
    place[:n] = begin[:n]
    counted, count, height = 0, 0, 0
    for start in range(n):
        if number[start] > 0:
            continue
        counted += 1
        number[start] = lowest[start] = counted
        stack[height], path[0] = start, start
        height += 1
        depth = 1
        while depth > 0:
            v = path[depth - 1]
            if place[v] < begin[v + 1]:
                w = adjacent[place[v]]
                place[v] += 1
                if number[w] == 0:
                    counted += 1
                    number[w] = lowest[w] = counted
                    stack[height], path[depth] = w, w
                    height += 1
                    depth += 1
                elif component[w] < 0:
                    lowest[v] = min(lowest[v], number[w])
                continue
            depth -= 1
            if depth > 0:
                lowest[path[depth - 1]] = min(lowest[path[depth - 1]], lowest[v])
            if lowest[v] == number[v]:
                w = np.int32(-1)
                while w != v:
                    height -= 1
                    w = stack[height]
                    component[w] = count
                count += 1
    return count
