"""PAD on CIFAR-100.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/cifar100.py
Cost:      200 epochs of AlexNet are meant for an accelerator; there, too, the time has not been
           measured yet. A CPU of 2 cores does 40 to 134 images/s.
Expected:  the paper reports weighted kNN 48.7, a linear classifier 58.6 (Table 1) and k-means ACC
           28.8 (Table 2); not reproduced yet.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "cifar100"
    return config
