import pytest

from keras_bld.training.health import TrainingHealth

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        ({"dead_bits": 0.6}, "WARNING: 60% of the bits are the same in all images of epoch 2"),
        ({"critic": 0.01}, "WARNING: the critic tells all images of epoch 2 apart (loss 0.01)"),
        ({"critic": 1.0}, "WARNING: the critic says the same of all images of epoch 2"),
    ],
)
def test_what_goes_wrong_in_silence_is_said_once(logs, words, capsys):
    health = TrainingHealth(images_per_epoch=1000)
    health.on_epoch_end(0, logs)  # a new network
    assert capsys.readouterr().out == ""
    for epoch in (1, 2):
        health.on_epoch_end(epoch, logs)
    printed = capsys.readouterr().out
    assert printed.startswith(words) and printed.count("WARNING") == 1 and "Fix: " in printed


@pytest.mark.parametrize(
    ("settings", "logs"),
    [
        ({}, {"dead_bits": 0.4, "critic": 0.5}),
        ({"images_per_epoch": 12}, {"dead_bits": 0.9}),
        ({"critic_starts": 3}, {"critic": 1.0}),
        ({}, {"loss": 0.1}),
    ],
)
def test_what_is_well_or_not_known_yet(settings, logs, capsys):
    health = TrainingHealth(**{"images_per_epoch": 1000, **settings})
    health.on_epoch_end(1, logs)
    assert capsys.readouterr().out == ""
