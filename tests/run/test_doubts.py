"""When a run is told to doubt its groups."""

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
