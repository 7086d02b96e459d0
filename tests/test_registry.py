"""Names of parts: what they stand for, and what is said of those that stand for nothing."""

import math

import pytest

from pad_jax import data, registry
from pad_jax.errors import InputError
from pad_jax.objectives import OBJECTIVES
from pad_jax.objectives.pad import LossSettings, Pad

TABLE = {"root": "math:sqrt", "gone": "no_such_package.roots:sqrt"}


def test_names_of_the_table_and_locations_are_found():
    assert registry.find(TABLE, "root", "objective") is math.sqrt
    assert registry.find(TABLE, "math:cos", "objective") is math.cos
    assert registry.find(OBJECTIVES, "pad", "objective") is Pad


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cube", "objective='cube' is unknown; use one of: root, gone; or package.module:Name"),
        (
            "no_such_package:x",
            "objective='no_such_package:x' cannot be imported .*'no_such_package'",
        ),
        ("no.such.module:x", "objective='no.such.module:x' cannot be imported .*'no'"),
        ("math:nothing", "objective='math:nothing' cannot be imported .*attribute 'nothing'"),
        (":x", "objective=':x' cannot be imported"),
        ("math:", "objective='math:' cannot be imported"),
    ],
)
def test_a_name_that_stands_for_nothing_is_one_line(name, message):
    with pytest.raises(InputError, match=message) as caught:
        registry.find(TABLE, name, "objective")
    assert "\n" not in str(caught.value)
    assert "package.module:Name" in str(caught.value)


def test_a_part_of_the_package_that_cannot_be_imported_is_no_ones_input():
    with pytest.raises(ImportError, match="no_such_package"):
        registry.find(TABLE, "gone", "objective")


def test_a_part_says_which_settings_it_has():
    assert LossSettings in registry.settings_of(Pad)
    assert registry.settings_of(data.find(data.SOURCES, "digits", "dataset.name")) == ()


@pytest.mark.parametrize(
    ("name", "says_where"),
    [
        ("my.module:Name", True),
        ("pad", False),
        (":Name", False),
        ("a b:Name", False),
        ("a:b:c", False),
    ],
)
def test_locations(name, says_where):
    assert registry.is_location(name) == says_where
