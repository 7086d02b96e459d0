"""PAD with settings that its own graph chooses, epoch by epoch: for any data set.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/auto.py --config.dataset.name=... and what that
           data set needs; for a folder of images folder.py has it.
Cost:      that of the paper's settings, with one more forward pass an epoch for the graph.
Expected:  docs/studies/rule.md: six sets of images, beside the paper's settings and MNIST's. Digits
           and other characters want --config.augmentation.flip=False.
"""

from pad_jax.config import auto


def get_config():
    return auto()
