"""Finds config values that cannot work, before anything is computed."""

from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from pad_jax import losses
from pad_jax.errors import InputError
from pad_jax.models import FEATURES

_Rule = tuple[Callable[[Any], bool], str]  # whether a value can be used, and what to use instead


def check_config(config: ConfigDict) -> None:
    """Checks each value by itself.

    Raises:
      InputError: naming the field and what to change.
    """
    temperatures = f"use {losses.MIN_TEMPERATURE} or more, such as 0.1"
    share_of_run = (lambda v: 0 <= v <= 1, "use a share of the run")
    for field, rule in {
        "seed": _at_least(0),
        "num_epochs": _at_least(1),
        "batch_size": _at_least(1),
        "objective": _one_of("pad", "rotation", "clusters"),
        "dataset.max_images": _none_or_at_least(1),
        "dataset.image_size": _none_or_at_least(1),
        "dataset.channels": (lambda v: v in (None, 1, 3), "use 1 (grey), 3 (RGB) or None"),
        "grouping.kind": _one_of("scs", "neighbors", "anchor_neighbors", "singleton"),
        "grouping.features": _one_of("memory", "embed"),
        "grouping.num_neighbors": _at_least(1),
        "grouping.max_size": _none_or_at_least(2),
        "grouping.final_max_size": _none_or_at_least(2),
        "grouping.edge_share": (lambda v: 0 < v <= 1, "use a share of the edges, such as 0.1"),
        "grouping.singletons_until": share_of_run,
        "grouping.rounds": _at_least(1),
        "clusters.count": _at_least(2),
        "clusters.components": _at_least(1),
        "memory.init": _one_of("embed", "random"),
        "memory.rate": (lambda v: 0 <= v <= 1, "use 0 to 1"),
        "loss.hpe": _one_of("kl", "cosine", "none"),
        "loss.temperature": (lambda v: v >= losses.MIN_TEMPERATURE, temperatures),
        "loss.final_temperature": (
            lambda v: v is None or (_are_numbers([v], 1) and v >= losses.MIN_TEMPERATURE),
            f"{temperatures}, or None",
        ),
        "loss.final_temperature_from": share_of_run,
        "optimizer.learning_rate": (lambda v: v >= 0, "use 0 (nothing is learnt) or more"),
        "optimizer.decay_at": (
            lambda v: _are_numbers(v, len(v)) and [0, *v, 1] == sorted([0, *v, 1]),
            "use shares of the run in order, such as (0.4, 0.6, 0.8)",
        ),
        "checkpoint.every_epochs": _at_least(1),
        "checkpoint.keep": _at_least(1),
        "augmentation.crop_scale": (
            lambda v: _are_numbers(v, 2) and 0 < v[0] <= v[1] <= 1,
            "use two shares of the area, such as (0.2, 1.0)",
        ),
        "augmentation.jitter": (
            lambda v: _are_numbers(v, 4) and min(v) >= 0,
            "use four strengths of 0 or more, such as (0.4, 0.4, 0.4, 0.4)",
        ),
        "augmentation.grayscale": (lambda v: 0 <= v <= 1, "use a probability"),
        "eval.features": _some_of(*FEATURES),
        "eval.probe": _some_of(*FEATURES),
        "eval.every_epochs": _at_least(0),
        "eval.batch_size": _at_least(1),
        "eval.max_feature_gib": (lambda v: v > 0, "use more than 0, such as 4.0"),
        "eval.kmeans_runs": _at_least(1),
        "eval.kmeans_inits": _at_least(1),
        "eval.knn_neighbors": _at_least(1),
        "eval.knn_temperature": (lambda v: v > 0, "use more than 0, such as 0.1"),
    }.items():
        _require(config, field, rule)
    trained_on = config.dataset.train_split.split("+")
    held_out = (
        lambda v: not any(_share_images(a, b) for a in v.split("+") for b in trained_on),
        "its images are in dataset.train_split, kNN would find them; use another, or '' for none",
    )
    _require(config, "dataset.test_split", held_out)
    if config.objective != "pad" or config.grouping.kind != "scs":
        whole_run = (lambda v: v == 1, "that is for objective=pad, grouping.kind=scs; use 1.0")
        _require(config, "grouping.singletons_until", whole_run)


def check_devices(config: ConfigDict, num_devices: int) -> None:
    """Checks that a batch can be divided over the devices.

    Raises:
      InputError: naming the field and what to change.
    """
    devices = f"there are {num_devices} devices; use a multiple"
    _require(config, "batch_size", (lambda v: v % num_devices == 0, devices))


def check_images(config: ConfigDict, num_images: int, image_shape: tuple[int, int, int]) -> None:
    """Checks that there are as many training images as are asked for, of a shape that will do.

    Raises:
      InputError: naming the field and what to change.
    """
    images = f"the data set has {num_images} images; use at most"
    fewer = (lambda v: v < num_images, f"{images} {num_images - 1}, or more images")
    _require(config, "grouping.num_neighbors", fewer)
    as_many = (lambda v: v <= num_images, f"{images} {num_images}, or more images")
    _require(config, "batch_size", as_many)
    if config.objective == "clusters":
        _require(config, "clusters.count", as_many)
    height, width, _ = image_shape
    square = f"images are {height}x{width}; set dataset.image_size, which makes them square"
    _require(config, "objective", (lambda v: v != "rotation" or height == width, square))


def _require(config: ConfigDict, field: str, rule: _Rule) -> None:
    value = config
    for part in field.split("."):
        value = value[part]
    can_be_used, hint = rule
    if not can_be_used(value):
        raise InputError(f"{field}={value!r} cannot be used; {hint}")


def _share_images(one: str, other: str) -> bool:
    """Whether two splits must overlap; slices of one split, such as train[:80%], need not."""
    (name, _, part), (other_name, _, other_part) = one.partition("["), other.partition("[")
    return name == other_name and (one == other or not part or not other_part)


def _are_numbers(values: Sequence, count: int) -> bool:
    return len(values) == count and all(type(v) in (int, float) for v in values)


def _one_of(*values: str) -> _Rule:
    return (lambda v: v in values), f"use one of: {', '.join(values)}"


def _some_of(*values: str) -> _Rule:
    return (lambda v: set(v) <= set(values)), f"use some of: {', '.join(values)}"


def _at_least(least: int) -> _Rule:
    return (lambda v: type(v) is int and v >= least), f"use {least} or more"


def _none_or_at_least(least: int) -> _Rule:
    valid, hint = _at_least(least)
    return (lambda v: v is None or valid(v)), f"{hint}, or None"
