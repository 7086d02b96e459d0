"""PAD on your own folder of images.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/folder.py --config.dataset.root=DIR
Cost:      TODO
Expected:  TODO
"""

from configs import common


def get_config():
    config = common.get_config()
    config.dataset.name = "folder"
    config.dataset.test_split = ""
    config.dataset.image_size = 32
    config.dataset.channels = 3
    return config
