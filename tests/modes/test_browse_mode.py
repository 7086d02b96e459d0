"""--mode=browse, of features and their images."""

import json
import re

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.modes.base import Call
from pad_jax.modes.browse import MODE
from tests.support.image_files import save


@pytest.fixture
def call(tmp_path):
    """Of 300 digits, whose features are their pixels."""
    digits = load_digits()
    pixels = (digits.images[:300] * 15).astype(np.uint8)
    for i, image in enumerate(pixels):
        save(tmp_path / f"my images/{i:03}.png", image)
    np.save(tmp_path / "features.npy", digits.data[:300].astype(np.float32))
    names = "".join(f"my images/{i:03}.png\n" for i in range(300))
    (tmp_path / "names.txt").write_text(names)
    features, images = tmp_path / "features.npy", tmp_path / "names.txt"
    return Call(configs.default(), "configs/digits.py", {}, None, images, features)


def test_a_page_is_written_and_the_next_command_is_told(call, tmp_path):
    said = MODE.run(call).splitlines()
    index = tmp_path / "features.npy.browse" / "index.html"
    assert index.is_file()
    assert said[0] == f"Written: {index}"
    assert said[1].endswith(index.as_uri())
    source = f"--features={call.features} --images={call.images}"
    assert said[-1].endswith(f"pad-jax {source} --mode=label --labels=labels.csv")
    (catalogue,) = index.parent.glob("site-*/catalogue.js")
    facts = json.loads(re.search(r"\{.*\}", catalogue.read_text())[0])
    assert (facts["title"], facts["images"]) == ("features.npy", 300)
    assert facts["command"] in said[-1]
    assert facts["base"] == (tmp_path / "my images").as_uri().removesuffix("my%20images")
    assert len(facts["sizes"]) > 20
    assert 20 < len(facts["first"]) <= 50
    assert set(facts["first"]) <= set(range(len(facts["sizes"])))


def test_a_command_with_spaces_can_be_pasted(call):
    images = call.images.rename(call.images.with_name("my names.txt"))
    said = MODE.run(call._replace(images=images))
    assert "'--images=" in said


def test_a_folder_that_cannot_be_written_to_is_told(call, tmp_path):
    (tmp_path / "features.npy.browse").write_text("in the way")
    with pytest.raises(InputError, match="browse cannot be written"):
        MODE.run(call)


def test_the_next_command_takes_the_config_that_was_given(call):
    said = MODE.run(call._replace(config_given="mine.py")).splitlines()
    assert f"--features={call.features} --config=mine.py" in said[-1]
