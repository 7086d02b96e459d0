"""PAD on ImageNet at 224 px.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/imagenet.py --config.dataset.root=TFDS_DATA_DIR
           Better first, once: python -m pad_jax.main --mode=prepare --config=configs/imagenet.py
           --config.dataset.root=TFDS_DATA_DIR --output=READY, and then dataset.root=READY: no start
           decodes the images again, and crops are taken from pictures of 256 px. READY takes about
           350 GB.
Cost:      the paper took 6 days on a Tesla P100; not measured here. The images are streamed.
Expected:  the paper reports weighted kNN on fc 35.1 and a linear classifier on conv5 38.6 (Table
           1); not reproduced yet. fc and conv5 of so many images take 20 and 46 GiB, and are
           left out unless eval.max_feature_gib is raised: each process then holds both and about
           as much again, and one device a copy of the longer one.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.batch_size = 256
    config.dataset.name = "imagenet2012"
    config.dataset.test_split = "validation"
    config.dataset.image_size = 224
    config.model.stem = "standard"
    config.model.dtype = "bfloat16"
    config.eval.pixels = False
    return config
