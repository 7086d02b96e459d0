"""What is said of labels that leave figures without meaning."""

import re

import numpy as np
import pytest

from pad_jax.evaluators import caveats

TWO = np.arange(100) % 2


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (TWO, None, ""),
        (np.full(100, -1), None, ""),
        (np.full(100, 7), None, "All labelled training images are of one class"),
        (
            (np.arange(100) == 0).astype(int),
            None,
            "99.0 % of the labelled images are of one class: .* ACC of 0.990.",
        ),
        (
            np.arange(100),
            None,
            "100 of 100 labelled images are alone in their class: .* "
            "100 labelled images are of 100 classes: .* high by themselves.",
        ),
        (np.arange(100) // 2, None, "100 labelled images are of 50 classes"),
        (np.arange(99) // 3, None, ""),
        (np.append(TWO, np.arange(2, 14)), None, "12 of 112 .* alone"),
        (np.append(TWO, np.arange(2, 13)), None, ""),  # fewer than a tenth
        (np.append(TWO, np.arange(2, 14)), TWO, ""),
        (TWO, np.array([0, 1, 2, 3, -1]), "2 of 4 labelled test images are of classes without"),
        (TWO, np.full(5, -1), ""),
    ],
)
def test_what_is_said(train, test, said):
    found = caveats.sentence(train, test)
    assert "\n" not in found
    assert re.fullmatch(said + ".*" if said else "", found)
