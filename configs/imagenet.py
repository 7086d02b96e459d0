"""PAD on ImageNet.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/imagenet.py
Cost:      TODO
Expected:  TODO
"""

from configs import common


def get_config():
    config = common.get_config()
    config.batch_size = 256
    config.dataset.name = "imagenet2012"
    config.dataset.test_split = "validation"
    config.dataset.image_size = 224
    config.model.stem = "standard"
    config.model.dtype = "bfloat16"
    config.eval.features = ("embedding",)
    config.eval.pixels = False
    return config
