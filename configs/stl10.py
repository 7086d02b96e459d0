"""PAD on STL-10, its 100,000 unlabelled images included.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/stl10.py
Cost:      TODO
Expected:  TODO
"""

from configs import common


def get_config():
    config = common.get_config()
    config.dataset.name = "stl10"
    config.dataset.train_split = "train+test+unlabelled"
    config.dataset.image_size = 32
    return config
