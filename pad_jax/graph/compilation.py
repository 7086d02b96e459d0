"""How loops over graphs are compiled, by numba."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compiled on its first call, and kept on disk where numba finds a folder for that."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # neither the code's folder nor HOME can be written to
        return numba.njit(function)
