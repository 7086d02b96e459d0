"""A folder of images, and extractions from it."""

import pytest

from pad_jax.errors import InputError
from pad_jax.extractors.extraction import extract
from pad_jax.settings import Settings
from tests.support.grid_extractor import BATCH, SPEC, make_images


@pytest.fixture
def images(tmp_path):
    return make_images(tmp_path / "images")


@pytest.fixture
def start(images, tmp_path):
    """A function that extracts, and returns the file."""

    def run(spec=SPEC, output="out.npz", settings=None, **options):
        file = tmp_path / output
        extract(spec, str(images), file, settings or Settings(), **{"batch_size": BATCH} | options)
        return file

    return run


@pytest.fixture
def refused():
    """A function that sees to it that a call ends in one line."""

    def check(message, function, *arguments, **options):
        with pytest.raises(InputError, match=message) as caught:
            function(*arguments, **options)
        assert "\n" not in str(caught.value)

    return check
