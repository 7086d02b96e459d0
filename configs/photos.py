"""PAD on a pile of photographs, sized by their number, their size and the devices.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/photos.py --config.dataset.root=DIR
Cost:      about an hour on 2 CPU cores for 3,000 to 27,000 photographs; more take ten epochs, and
           an hour for each 50,000 images or so. On an accelerator 200 epochs.
Expected:  no figure holds for every pile: flowers had kNN 0.47, CIFAR-10 0.69 after 60 epochs.
           What speaks for each value is at the end of docs/studies/cifar.md. Groups are smaller
           and purer than those of folder.py, and fewer images are in one.

What stands here as None is chosen when a run starts, is said in its log and kept in its
config.json; --config.FIELD=VALUE sets another (docs/runs.md).
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.num_epochs = None
    config.batch_size = None
    config.dataset.name = "folder"
    config.dataset.test_split = ""
    config.dataset.image_size = None
    config.dataset.max_image_size = 64
    config.dataset.channels = 3
    config.model.name = None
    config.model.dtype = None
    # Groups of the most similar alone, by the encoder as it is: few, and pure.
    config.grouping.features = "embed"
    config.grouping.edge_share = 0.1
    return config
