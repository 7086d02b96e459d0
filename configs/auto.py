"""PAD on your own folder of images, with settings that its own graph chooses, epoch by epoch.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/auto.py --config.dataset.root=DIR
Cost:      that of folder.py, with one more forward pass an epoch for the graph.
Expected:  docs/studies/rule.md: six sets of images, beside the paper's settings and MNIST's. Digits
           and other characters want --config.augmentation.flip=False.

The same for all images; chosen on digits, flowers and CIFAR-10 (docs/studies/rule.md).
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "folder"
    config.dataset.test_split = ""
    config.dataset.image_size = 32
    config.dataset.channels = 3
    config.augmentation.crop_scale = (0.5, 1.0)
    config.grouping.features = "embed"
    config.grouping.num_neighbors = 10
    config.grouping.edge_share = "auto"
    config.grouping.max_size = "auto"
    config.grouping.singletons_until = "auto"
    config.loss.temperature = "auto"
    return config
