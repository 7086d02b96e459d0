"""PAD on CIFAR-10, the data set all of the paper's parameters were chosen on.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/cifar10.py
Cost:      200 epochs of AlexNet are meant for an accelerator; there, too, the time has not been
           measured yet. A CPU of 2 cores does 40 to 60 images/s.
Expected:  the paper reports weighted kNN 81.5, a linear classifier 84.7 (Table 1) and k-means ACC
           62.6 (Table 2); not reproduced yet.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "cifar10"
    return config
