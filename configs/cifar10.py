"""PAD on CIFAR-10, the data set all of the paper's parameters were chosen on.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/cifar10.py
Cost:      200 epochs of AlexNet: 340 s on one H100 with --config.model.dtype=bfloat16. A CPU of 2
           cores does 40 to 134 images/s.
Expected:  k-means ACC 0.674, weighted kNN 0.794 (of fc 0.763), a linear classifier 0.781, of JPEG
           copies of the images, one seed. The paper reports kNN 81.5, a linear classifier 84.7
           (Table 1) and ACC 62.6 (Table 2).
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "cifar10"
    return config
