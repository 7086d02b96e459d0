"""Models of timm, PyTorch Image Models, without their classifiers."""

import difflib
import logging
import os
from typing import Any

import numpy as np

from pad_jax.errors import InputError, first_line
from pad_jax.extractors.base import ExtractorSpec

_log = logging.getLogger(__name__)

_RANDOM = "random"


def timm_model(model: str, spec: ExtractorSpec) -> "_TimmModel":
    """A model of timm as a function of images, on the GPU where torch has one.

    Args:
      model: its name in timm, such as resnet50 or vit_small_patch14_dinov2.lvd142m.
      spec: which weights, and images of which size.

    Raises:
      InputError: where timm is not installed or has no such model, its weights cannot be had or do
        not fit, or it cannot take images of that size.
    """
    try:
        import timm
        import torch
    except ImportError:
        raise InputError(
            f"--extractor=timm:{model}: needs timm and torch; pip install 'pad-jax[features]'"
        ) from None
    if ":" not in model and not timm.is_model(model):  # hf-hub:OWNER/NAME is not in the list
        near = difflib.get_close_matches(model.partition(".")[0], timm.list_models(), n=3)
        hint = f"use one of its own, such as {' or '.join(near)}" if near else "see timm's list"
        raise InputError(f"--extractor=timm:{model} is no model that timm knows; {hint}")
    if spec.weights not in ("", _RANDOM) and not os.path.isfile(spec.weights):
        raise InputError(f"--weights={spec.weights} is no file; give one with weights of {model}")
    _refuse_pickles()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of untrained weights, which have to be the same when resumed
        network = _create(timm, model, spec)
    if spec.weights not in ("", _RANDOM):
        _load(timm, network, model, spec.weights)
    made = _TimmModel(torch, network, timm.data.resolve_model_data_config(network), spec.image_size)
    if spec.image_size is not None:
        try:
            made(np.zeros((1, spec.image_size, spec.image_size, 3), np.uint8))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise InputError(
                f"--image_size={spec.image_size} cannot be used with timm:{model} "
                f"({first_line(error)}); choose another, or leave it out"
            ) from None
    return made


class _TimmModel:
    """A network of timm with what prepares its images: uint8 [B, S, S, 3] -> float32 [B, D]."""

    def __init__(self, torch: Any, network: Any, data_config: dict, image_size: int | None):
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = network.eval().to(self._device)
        self._mean, self._std = (
            torch.tensor(data_config[name], device=self._device).reshape(1, 3, 1, 1)
            for name in ("mean", "std")
        )
        self.image_size = image_size or data_config["input_size"][-1]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(images).to(self._device)
            pixels = pixels.permute(0, 3, 1, 2).float() / 255
            features = self._network((pixels - self._mean) / self._std)
            return features.float().cpu().numpy()


def _create(timm: Any, model: str, spec: ExtractorSpec) -> Any:
    """The network without its classifier, its weights downloaded if the spec names no others."""
    options = {"pretrained": not spec.weights, "num_classes": 0}
    if not spec.weights:
        _log.info("timm:%s: weights are downloaded, unless they are at hand.", model)
        # It warns of every try; what comes of the last one is said below.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        if spec.image_size is None:
            return timm.create_model(model, **options)
        try:
            return timm.create_model(model, img_size=spec.image_size, **options)
        except TypeError:  # a network for images of any size has no such argument
            return timm.create_model(model, **options)
    except OSError as error:
        raise InputError(
            f"--extractor=timm:{model}: its weights cannot be downloaded ({first_line(error)}); "
            "see to the network, or give a file with them, --weights=FILE"
        ) from None
    except Exception as error:  # whatever timm says of tags, sizes and models without weights
        raise InputError(
            f"--extractor=timm:{model} cannot be used ({first_line(error)}); choose another model, "
            "or give a file with weights, --weights=FILE"
        ) from None


def _refuse_pickles() -> None:
    """Lets torch take numbers alone from a file, whatever timm asks it for.

    A pickle may run any code. Who sets the variable to 0 has another will.
    """
    os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")


def _load(timm: Any, network: Any, model: str, file: str) -> None:
    """Loads a checkpoint, of torch or safetensors; a classifier in it is left out."""
    try:
        keys = timm.models.load_checkpoint(network, file, strict=False)
    except Exception as error:  # of pickle, zip files, safetensors, shapes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"--weights={file} cannot be loaded into timm:{model} "
            f"({' '.join(lines[:2]) or type(error).__name__}); give a file with weights of {model}"
        ) from None
    if keys is None:  # of NumPy's formats, which timm looks into itself
        return
    missing = [key for key in keys.missing_keys if not key.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"--weights={file} does not fit timm:{model}: it lacks {len(missing)} of "
            f"{len(network.state_dict())} tensors, such as {missing[0]}; give a file with weights "
            f"of {model}"
        )
    if keys.unexpected_keys:
        _log.info("Left out of %s: %s", file, ", ".join(keys.unexpected_keys))
