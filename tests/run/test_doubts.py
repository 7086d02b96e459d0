"""When a run is told to doubt what it learns."""

import pytest

from pad_jax.run import doubts


def row(epoch, support=None):
    return {"epoch": epoch} | ({} if support is None else {"graph/support": support})


@pytest.mark.parametrize(
    ("epoch", "support", "is_doubted"),
    [(3, 0.29, True), (3, 0.3, False), (200, 0.01, True), (2, 0.01, False), (9, None, False)],
)
def test_little_support_is_said_from_the_third_epoch_on(epoch, support, is_doubted):
    said = doubts.sentence(row(epoch, support))
    assert bool(said) == is_doubted
    if is_doubted:
        assert f"supports them with {support:.2f}" in said


def test_the_groups_of_the_final_encoder_count_however_few_epochs_there_were():
    assert doubts.sentence(row(1, 0.9) | {"eval/support": 0.1})
    assert not doubts.sentence(row(9, 0.1) | {"eval/support": 0.3})


def test_a_warning_comes_once_and_again_after_sound_groups(caplog):
    watch = doubts.Watch()
    for epoch, support in enumerate([0.1, 0.1, 0.2, 0.2, 0.3, 0.1, 0.1], start=1):
        watch.look(row(epoch, support))
    first, again = caplog.messages
    assert first.startswith("Epoch 3: many groups may be wrong")
    assert "supports them with 0.20, less than 0.3" in first
    assert again.startswith("Epoch 6: ")
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_what_is_said_of_an_epoch_is_of_its_own_groups(caplog):
    last = row(3, 0.22) | {"eval/support": 0.26}
    doubts.Watch().look(last)
    assert "supports them with 0.22" in caplog.text
    assert "supports them with 0.26" in doubts.sentence(last)


def test_images_that_are_all_alike_are_said_from_the_third_epoch_on():
    alike = {"features/similarity": 0.99999}
    assert not doubts.sentence(row(2) | alike)
    assert "mean similarity of two is 0.99999" in doubts.sentence(row(3) | alike)
    assert not doubts.sentence(row(3) | {"features/similarity": 0.99})


def test_copies_are_said_at_once():
    assert "25 % of the graph's edges" in doubts.sentence(row(1) | {"graph/copies": 0.25})
    assert not doubts.sentence(row(1) | {"graph/copies": 0.09})


NONE = {"scs/count": 0.0, "scs/max_size": 0.0, "scs/mean_size": 0.0, "scs/coverage": 0.0}


def one_group(size):
    """100 images, so many of them in one group, and two in another."""
    mean = (size + 2) / 2
    sizes = {"scs/count": 2.0, "scs/max_size": size, "scs/mean_size": mean}
    return sizes | {"scs/coverage": (size + 2) / 100}


@pytest.mark.parametrize(
    ("figures", "said"),
    [(NONE, "no groups are found"), (one_group(90.0), "90 % of the images are in one group")],
)
def test_groups_that_are_none_or_one_are_warned_of_after_three_epochs(caplog, figures, said):
    watch = doubts.Watch()
    for epoch in range(1, 10):
        watch.look(row(epoch) | (one_group(30.0) if epoch == 5 else figures))
    [message] = caplog.messages
    assert message.startswith(f"Epoch 8: {said}")


def test_groups_of_other_kinds_may_be_none():
    other = {name.replace("scs/", "groups/"): value for name, value in NONE.items()}
    assert not doubts.sentence(row(9) | other)
    assert not doubts.sentence(row(9) | one_group(89.0))
