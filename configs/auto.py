"""PAD with one setting for all sets of images: what it needs to know it reads off its own graph.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/auto.py --config.dataset.root=DIR
Cost:      that of folder.py; an epoch has a forward pass more, and twice the neighbours.
Expected:  docs/studies/rule.md.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "folder"
    config.dataset.test_split = ""
    config.dataset.image_size = 32
    config.dataset.channels = 3
    config.grouping.features = "embed"
    config.grouping.num_neighbors = 10
    config.grouping.edge_share = "auto"
    config.grouping.max_size = "auto"
    config.grouping.singletons_until = "auto"
    config.loss.temperature = "auto"
    return config
