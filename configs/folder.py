"""PAD on your own folder of images, with settings that its own graph chooses (auto.py).

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/folder.py --config.dataset.root=DIR
Cost:      4,317 photographs at 32 px with model.name=tiny: 13 s an epoch on one CPU core. AlexNet,
           the default, is meant for an accelerator.
Expected:  no figure holds for every folder; see neighbors/precision_at_1 and eval/ where sub-
           folders give classes. docs/studies/rule.md has six sets. Digits and other characters want
           --config.augmentation.flip=False.
"""

from pad_jax.config import auto


def get_config():
    config = auto()
    config.dataset.name = "folder"
    config.dataset.test_split = ""
    config.dataset.image_size = 32
    config.dataset.channels = 3
    return config
