"""Names of parts that a config chooses, and where these are.

A table is a dict from a name to ``package.module:Name``. Nothing is imported before it is needed,
and what stands in no table is named the same way: ``--config.objective=my.module:MyObjective``.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from pad_jax.errors import InputError, first_line


def find(table: Mapping[str, str], name: str, field: str) -> Any:
    """What a name stands for.

    Args:
      table: names of the package's own entries.
      name: one of these, or ``package.module:Name``.
      field: of the config, or the flag, that has the name, for errors.

    Raises:
      InputError: for an unknown name, and for a module that cannot be imported or has no such name.
    """
    location = table.get(name, name)
    module, colon, attribute = location.partition(":")
    if not colon:
        raise InputError(
            f"{field}={name!r} is unknown; use one of: {', '.join(table)}; or package.module:Name"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        if name in table:
            raise  # a defect, or a package that is not installed: no input's fault
        raise InputError(
            f"{field}={name!r} cannot be imported ({first_line(error)}); give package.module:Name "
            "of a module that Python finds"
        ) from error


def settings_of(entry: Any) -> tuple[type, ...]:
    """The settings dataclasses that an entry declares as its ``SETTINGS``; none if it has none."""
    return tuple(getattr(entry, "SETTINGS", ()))


def is_location(name: str) -> bool:
    """Whether a name says where code outside the package is: ``package.module:Name``."""
    module, colon, attribute = name.partition(":")
    parts = (*module.split("."), attribute)
    return bool(colon) and all(part.isidentifier() for part in parts)
