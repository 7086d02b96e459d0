"""PAD on STL-10 in the clustering protocol, its 100,000 unlabelled images included, at 32 px.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/stl10.py
Cost:      200 epochs of AlexNet are meant for an accelerator; there, too, the time has not been
           measured yet. A CPU of 2 cores does 40 to 134 images/s.
Expected:  the paper reports k-means ACC 46.5 (Table 2); not reproduced yet. It does not say at
           which size of image; 32 px is our choice.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "stl10"
    config.dataset.train_split = "train+test+unlabelled"
    config.dataset.test_split = ""
    config.dataset.image_size = 32
    return config
