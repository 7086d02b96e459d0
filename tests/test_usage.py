"""What an unknown flag may have meant."""

import pytest

from pad_jax import (
    main,  # noqa: F401 - defines the flags
    usage,
)
from pad_jax.errors import InputError
from pad_jax.modes import MODES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num_epochs=20"], "field of the config: --config.num_epochs=20$"),
        (["--num_epoch=20"], "--num_epoch is no flag; did you mean --config.num_epochs[?]$"),
        (["--seed", "3"], "field of the config: --config.seed=VALUE$"),
        (["--dataset.root=x"], "field of the config: --config.dataset.root=x$"),
        (["--name=x"], "--config.augmentation.name=x or --config.dataset.name=x or"),
        (["--workdr=x"], "--workdr is no flag; did you mean --workdir[?]$"),
        (["-confg=x"], "--confg is no flag; did you mean --config[?]$"),
        (["--config", "x", "--zzzz"], "--zzzz is no flag; --help shows all$"),
    ],
)
def test_the_flag_that_was_meant(arguments, message):
    with pytest.raises(InputError, match=message):
        usage.refuse_unknown(arguments, MODES)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config=digits", "--config.num_epochs=2"],
        ["-config", "digits", "--workdir", "--odd"],  # the value of a flag
        ["--nodistributed", "--distributed", "word", "-"],
        ["--", "--anything"],
        ["--flagfile=f"],
    ],
)
def test_flags_that_there_are(arguments):
    usage.refuse_unknown(arguments, MODES)
