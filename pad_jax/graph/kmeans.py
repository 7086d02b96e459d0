"""What a k-means needs whose result a run goes on with: the same on every run of a machine."""

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Around a fit: it repeats itself bit for bit, and rows that coincide are no warning.

    Several threads add up the centres in any order; a single one always in the same.
    """
    import threadpoolctl  # here, not at the top: most of what loads this does without
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
