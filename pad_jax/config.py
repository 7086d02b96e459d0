"""The config that users see: the settings of all parts, in one place.

    config = pad_jax.config.default()
    config.dataset.name, config.dataset.root = "folder", "photographs"

A config file defines ``get_config()``, which returns such a config. ``python -m pad_jax.config``
prints every setting there is.
"""

import difflib
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from pad_jax import data, registry, settings
from pad_jax.data.augmentation import AUGMENTATIONS, AugmentationSettings
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.evaluators import EVALUATORS
from pad_jax.evaluators.base import EvaluationSettings
from pad_jax.groupings import GRAPHS, KINDS, GroupingSettings
from pad_jax.models import ENCODERS, ModelSettings
from pad_jax.objectives import OBJECTIVES, ObjectiveSettings
from pad_jax.optimizer import OptimizerSettings
from pad_jax.run.checkpoints import CheckpointSettings
from pad_jax.settings import AUTO, NOTHING, RESULTS, TRAINING, Part, RunSettings, Settings

# Parts of which there is one; those of which a config names some declare their settings themselves.
_PARTS = (
    RunSettings,
    ObjectiveSettings,
    DatasetSettings,
    AugmentationSettings,
    ModelSettings,
    GroupingSettings,
    OptimizerSettings,
    CheckpointSettings,
    EvaluationSettings,
)
# Where a config names parts, and the package's own.
_NAMED = {
    "objective": OBJECTIVES,
    "grouping.kind": KINDS,
    "grouping.graph": GRAPHS,
    "augmentation.name": AUGMENTATIONS,
    "model.name": ENCODERS,
    "dataset.name": data.SOURCES,
    "eval.evaluators": EVALUATORS,
}
_MAY_CHANGE = {
    TRAINING: "no",
    RESULTS: "until the run is finished",
    NOTHING: "always",
}


def default(**names: Any) -> ConfigDict:
    """The paper's single setting, and our choices where the paper gives none.

    Args:
      **names: parts from outside the package, ``objective="my.module:MyObjective"``, by the name of
        their field, with ``__`` for the dot in it. They are chosen, and their settings are in the
        config.
    """
    chosen = {field.replace("__", "."): name for field, name in names.items()}
    config = settings.compose(parts(chosen))
    _refuse_unknown(chosen, config)
    config.update_from_flattened_dict(chosen)
    return config.lock()  # a misspelt field is an error


def auto(**names: Any) -> ConfigDict:
    """``default``, but with groups whose graph says, epoch by epoch, what the settings are.

    The same for all images (docs/studies/rule.md): which edges are trusted, how large groups may
    be, whether single images are classes, and the temperature; ten neighbours, by the encoder as it
    is; and crops that leave half of an image or more.

    Args:
      **names: as ``default`` takes them.
    """
    config = default(**names)
    config.augmentation.crop_scale = (0.5, 1.0)
    config.grouping.features = "embed"
    config.grouping.num_neighbors = 10
    config.grouping.edge_share = AUTO
    config.grouping.max_size = AUTO
    config.grouping.singletons_until = AUTO
    config.loss.temperature = AUTO
    return config


def filled(recorded: ConfigDict | Mapping[str, Any]) -> ConfigDict:
    """A config, or a run's as ``config.json`` holds it, with the defaults of what it lacks."""
    chosen = dict(settings.flatten(recorded))
    config = settings.compose(parts(chosen))
    known = dict(settings.flatten(config))
    config.update_from_flattened_dict(
        {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items() if k in known}
    )
    return config.lock()


def changed(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """Another config, with other values of some fields by dotted name, whatever their type."""
    other = filled(dict(settings.flatten(config)) | dict(changes))
    _refuse_unknown(changes, other)
    return other


def _refuse_unknown(names: Iterable[str], config: ConfigDict) -> None:
    """Raises InputError for a dotted name that is no field of a config."""
    known = dict(settings.flatten(config))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/settings.md has all"
            raise InputError(f"the config has no field {name}{hint}")


def as_json(config: ConfigDict) -> dict[str, Any]:
    """A config as ``config.json`` holds it."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):  # as good as Python's own where ``read`` takes it
            return value.item()
        raise InputError(f"the config has {value!r}; give a number, text, True, False or None")

    return json.loads(json.dumps(config.to_dict(), default=plain))


def read(config: ConfigDict | Mapping[str, Any]) -> Settings:
    """The settings that a config, or a run's ``config.json``, holds; an old one is filled up.

    Raises:
      InputError: naming the field and what to change.
    """
    return settings.read(config, parts(dict(settings.flatten(config))))


def parts(chosen: Mapping[str, Any]) -> list[type[Part]]:
    """All settings dataclasses: the package's own, and those of parts that a config names.

    Args:
      chosen: fields of the config by dotted name.
    """
    found: list[type[Part]] = list(_PARTS)
    for field, table in _NAMED.items():
        value = chosen.get(field, ())
        names = map(str, value if isinstance(value, (tuple, list)) else [value])
        outside = [name for name in names if name not in table and registry.is_location(name)]
        for name in [*table, *outside]:
            find = data.find if table is data.SOURCES else registry.find
            own = registry.settings_of(find(table, name, field))
            found += [part for part in own if part not in found]
    return found


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any, str]]:
    """Where two configs, as ``config.json`` holds them, differ.

    Yields:
      The field, its old and its new value, and what it affects (see ``settings.setting``). What one
      of them does not have, being older, has its default.
    """
    old, new = (dict(settings.flatten(config)) for config in (old, new))
    by_name = {d.name: d for d in settings.declarations([*parts(old), *parts(new)])}
    for name in sorted(old.keys() | new.keys()):
        known = by_name.get(name)
        default_value = _as_read(known.default) if known else None
        a, b = old.get(name, default_value), new.get(name, default_value)
        if a != b:
            yield name, a, b, known.affects if known else TRAINING


def check_kind(config: Any, file: str) -> None:
    """Raises InputError where a file's ``get_config`` returns no config: nothing, or a dict."""
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"--config={file}: get_config() returns {type(config).__name__}; let it end in return "
            "config, a ConfigDict as pad_jax.config.default() makes it"
        )


def shipped(name: str) -> pathlib.Path:
    """The file of a config that comes with the package, in a wheel or in a clone.

    Raises:
      InputError: for another name.
    """
    package = pathlib.Path(__file__).parent
    installed = package / "configs"
    folder = installed if installed.is_dir() else package.parent / "configs"
    if (folder / f"{name}.py").is_file():
        return folder / f"{name}.py"
    names = sorted(path.stem for path in folder.glob("*.py"))
    raise InputError(
        f"--config={name} is none of the package's; use one of: {', '.join(names)}; or the path of "
        "a file, such as ./mine.py"
    )


def declared() -> list[settings.Declaration]:
    """Every setting: fields without a section first, then by section, in order of declaration."""
    return sorted(settings.declarations(parts({})), key=lambda d: d.name.rpartition(".")[0])


def describe() -> str:
    """Every setting, as a page of Markdown."""
    lines = [
        "# Settings",
        "",
        "Every field of a config: `--config.<field>=<value>` on the command line, `config.<field>` "
        "in Python. *From* says where the default comes from. A run may be resumed with another "
        "value where the last column says so. Written by `python -m pad_jax.config`.",
        "",
        "| field | default | meaning | from | may change |",
        "|---|---|---|---|---|",
    ]
    for d in declared():
        cells = (f"`{d.name}`", f"`{d.default!r}`", d.meaning, d.origin, _MAY_CHANGE[d.affects])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _as_read(value: Any) -> Any:
    """A value as it comes back from ``config.json``."""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    print(describe(), end="")
