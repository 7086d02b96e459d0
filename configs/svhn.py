"""PAD on SVHN.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/svhn.py
Cost:      200 epochs of AlexNet are meant for an accelerator; there, too, the time has not been
           measured yet. A CPU of 2 cores does 40 to 134 images/s.
Expected:  the paper reports weighted kNN 91.2 and a linear classifier 93.2 (Table 1); not
           reproduced yet.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "svhn_cropped"
    config.augmentation.flip = False
    return config
