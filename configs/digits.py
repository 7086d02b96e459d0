"""PAD on scikit-learn's handwritten digits: nothing to download, for a first look.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/digits.py
Cost:      DIGCOST
Expected:  DIGEXP
"""

from configs import common


def get_config():
    config = common.get_config()
    config.num_epochs = 40
    config.dataset.image_size = 28
    config.augmentation.flip = False
    config.model.name = "tiny"
    return config
