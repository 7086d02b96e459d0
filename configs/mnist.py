"""PAD on MNIST.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/mnist.py
Cost:      TODO
Expected:  TODO
"""

from configs import common


def get_config():
    config = common.get_config()
    config.dataset.name = "mnist"
    config.augmentation.flip = False
    return config
