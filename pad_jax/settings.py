"""How a part of the package declares its settings, and how a config becomes them.

A part has one frozen dataclass beside the code that reads it::

    @dataclasses.dataclass(frozen=True)
    class MemorySettings:
        SECTION: ClassVar[str] = "memory"
        rate: float = setting(0.5, "eta of Eq 6", share("the share of the new embedding"), "paper")

``config.memory.rate`` is then a field of the config that users see, ``settings.rate`` what the part
reads. ``Settings`` holds those of all parts: an immutable value, in which a part finds its own by
their class. What has no value there has its default, so parts can be used and tested alone.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from ml_collections import ConfigDict, FieldReference

from pad_jax.errors import InputError
from pad_jax.registry import is_location


class Part(Protocol):
    """A frozen dataclass of settings; its fields are made by ``setting``.

    ``check(self)``, if it has one, raises InputError for values that do not go together.
    """

    SECTION: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


_Part = TypeVar("_Part")

_LARGEST = float(np.finfo(np.float32).max)  # steps compute in float32: what is above is infinite
AUTO = "auto"  # of a setting that chooses itself, epoch by epoch

# What a changed value changes: the trained parameters, so that it makes another run; the results of
# a run alone, which may change until it is finished; or neither.
TRAINING, RESULTS, NOTHING = "training", "results", "nothing"


class Rule(NamedTuple):
    """Which values can be used.

    Attributes:
      allows: whether a value, of the setting's type, can be used.
      hint: what to use instead of one that cannot.
    """

    allows: Callable[[Any], bool]
    hint: str


def setting(
    default: Any,
    meaning: str,
    rule: Rule,
    origin: str = "ours",
    *,
    affects: str = TRAINING,
    may_be_left: bool = False,
) -> Any:
    """A field of a settings dataclass.

    Args:
      default: its value unless the config has another.
      meaning: what it is, with its unit.
      rule: which values are legal, besides None where the annotation allows that.
      origin: where the default comes from: "paper", "AND", "Wu et al. 2018", ... or "ours".
      affects: what a changed value changes: TRAINING, RESULTS or NOTHING.
      may_be_left: whether a config may leave it None, for training to choose (``sizing``) before
        settings are read.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "meaning": meaning,
            "rule": rule,
            "origin": origin,
            "affects": affects,
            "may_be_left": may_be_left,
        },
    )


class Settings:
    """The settings of all parts of a run, by their class; those that are not given are defaults."""

    def __init__(self, *parts: Any):
        self._parts = {type(part): part for part in parts}

    def __getitem__(self, part: type[_Part]) -> _Part:
        return self._parts.get(part) or part()

    def __iter__(self) -> Iterator[Any]:
        """Those that are given."""
        return iter(self._parts.values())

    def replaced(self, part: Any) -> "Settings":
        """The same settings, with others of one part."""
        return Settings(*(self._parts | {type(part): part}).values())


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One setting, as a part declares it.

    Attributes:
      name: of the field of the config, with its section: "memory.rate".
      part: the class that declares it.
      field: its name there.
      kind: its annotation.
    """

    name: str
    part: type[Part]
    field: str
    kind: Any
    default: Any
    meaning: str
    rule: Rule
    origin: str
    affects: str
    may_be_left: bool

    @property
    def kinds(self) -> tuple[type, ...]:
        """The types that a value may have."""
        if typing.get_origin(self.kind) in (types.UnionType, typing.Union):
            return tuple(typing.get_origin(k) or k for k in typing.get_args(self.kind))
        return (typing.get_origin(self.kind) or self.kind,)

    @property
    def is_optional(self) -> bool:
        """Whether None is a value."""
        return types.NoneType in self.kinds

    def check(self, value: Any) -> None:
        """Raises InputError for a value that cannot be used."""
        if value is None and self.may_be_left:
            refuse(self.name, value, "training chooses a value, all else needs one given")
        if not (self._has_type(value) and (value is None or self.rule.allows(value))):
            is_count = int in self.kinds and float not in self.kinds
            kind = "; it is a whole number" * (is_count and not self._has_type(value))
            refuse(self.name, value, self.rule.hint + ", or None" * self.is_optional + kind)

    def _has_type(self, value: Any) -> bool:
        if type(value) in (int, float) and float in self.kinds:
            return abs(value) <= _LARGEST  # so not nan either
        return type(value) in self.kinds


def refuse(field: str, value: Any, hint: str) -> typing.NoReturn:
    """Raises the InputError that all values that cannot be used end in."""
    raise InputError(f"{field}={value!r} cannot be used; {hint}")


def declarations(parts: Iterable[type[Part]]) -> Iterator[Declaration]:
    """Every setting of these settings dataclasses."""
    for part in parts:
        kinds = typing.get_type_hints(part)
        for field in dataclasses.fields(part):
            prefix = f"{part.SECTION}." if part.SECTION else ""
            yield Declaration(
                name=prefix + field.name,
                part=part,
                field=field.name,
                kind=kinds[field.name],
                default=field.default,
                **field.metadata,
            )


def compose(parts: Sequence[type[Part]]) -> ConfigDict:
    """The config of these settings dataclasses, every field with its default."""
    config = ConfigDict()
    for declared in declarations(parts):
        section, _, name = declared.name.rpartition(".")
        if section and section not in config:
            config[section] = ConfigDict()
        # A field of several types takes any literal: the command line can set it to None and back.
        default, takes_any = declared.default, len(declared.kinds) > 1 or declared.may_be_left
        value = FieldReference(default, field_type=object) if takes_any else default
        (config[section] if section else config)[name] = value
    return config


def read(config: Mapping[str, Any], parts: Sequence[type[Part]]) -> Settings:
    """The settings that a config holds; what it does not have, as configs of old, has its default.

    Fields that no part declares are passed over: they are of a part that was exchanged for another.
    A misspelt one is refused by the config itself, which is locked.

    Args:
      config: a ConfigDict, or a dict as ``config.json`` holds it.
      parts: all settings dataclasses.

    Raises:
      InputError: for a value that cannot be used, or values that do not go together.
    """
    flat = dict(flatten(config))
    values: dict[type[Part], dict[str, Any]] = {part: {} for part in parts}
    for declared in declarations(parts):
        value = flat.get(declared.name, declared.default)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list) and tuple in declared.kinds:
            value = tuple(value)  # of JSON
        declared.check(value)
        values[declared.part][declared.field] = value
    settings = Settings(*(part(**fields) for part, fields in values.items()))
    for part in parts:
        if hasattr(part, "check"):
            settings[part].check()
    return settings


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A config's fields by dotted name."""
    for key, value in config.items():
        if isinstance(value, (Mapping, ConfigDict)):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


# Rules


def at_least(least: float) -> Rule:
    return Rule(lambda v: v >= least, f"use {least} or more")


def or_auto(rule: Rule) -> Rule:
    """What a rule allows, or AUTO."""

    def allows(value: Any) -> bool:
        return value == AUTO if isinstance(value, str) else rule.allows(value)

    return Rule(allows, f"{rule.hint}, or {AUTO}")


def more_than(limit: float, such_as: float) -> Rule:
    return Rule(lambda v: v > limit, f"use more than {limit}, such as {such_as}")


def share(hint: str) -> Rule:
    """0 to 1."""
    return Rule(lambda v: 0 <= v <= 1, hint)


def below_one(hint: str) -> Rule:
    """0 to 1, without 1."""
    return Rule(lambda v: 0 <= v < 1, hint)


def one_of(*values: Any) -> Rule:
    return Rule(lambda v: v in values, f"use one of: {', '.join(map(str, values))}")


def any_text() -> Rule:
    return Rule(lambda v: True, "use text")


def yes_or_no() -> Rule:
    return Rule(lambda v: True, "use True or False")


def named(table: Mapping[str, Any]) -> Rule:
    """A name of a table of entries, or ``package.module:Name`` for one outside the package."""
    return Rule(
        lambda v: v in table or is_location(v),
        f"use one of: {', '.join(table)}; or package.module:Name for your own",
    )


def numbers(count: int | None, allows: Callable[[tuple], bool], hint: str) -> Rule:
    """A tuple of so many numbers that a float32 holds, of any number for None."""

    def allowed(values: tuple) -> bool:
        return (
            count in (None, len(values))
            and all(type(v) in (int, float) and abs(v) <= _LARGEST for v in values)
            and allows(values)
        )

    return Rule(allowed, hint)


def names(hint: str) -> Rule:
    """A tuple of names."""
    return Rule(lambda values: all(isinstance(v, str) and v for v in values), hint)


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run is, for all of its parts to read."""

    SECTION: ClassVar[str] = ""

    seed: int = setting(
        0,
        "of the encoder, the augmentation, the batches and the search",
        Rule(lambda v: 0 <= v < 2**32, "use 0 to 4294967295"),
    )
    num_epochs: int = setting(
        200,
        "epochs; None: about an hour of them on a CPU of two cores, 10 to 200, and 200 elsewhere",
        at_least(1),
        "paper",
        may_be_left=True,
    )
    batch_size: int = setting(
        128,
        "samples of a step, over all devices together; None: 128, or as many as leave ten steps "
        "an epoch",
        at_least(1),
        may_be_left=True,
    )
    init_from: str = setting(
        "",
        "a run's folder, or a checkpoint in it, whose encoder training begins with; '' for a "
        "random encoder",
        any_text(),
    )
