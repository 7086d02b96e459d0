"""PAD on CIFAR-10.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/cifar10.py
Cost:      TODO
Expected:  TODO
"""

from configs import common


def get_config():
    config = common.get_config()
    config.dataset.name = "cifar10"
    return config
