"""Scores of a trained preset on a data set: the evaluation card and sweeps over samplers."""

from keras_bld.evaluation.autoencoder_card import evaluate_autoencoder
from keras_bld.evaluation.card import CardSettings, evaluate_model
from keras_bld.evaluation.card_files import write_card
from keras_bld.evaluation.networks import (
    default_network,
    domain_network,
    efficientnet_network,
    open_network,
)
from keras_bld.evaluation.real_images import check_enough_images
from keras_bld.evaluation.sweep import sweep_samplers, sweep_sheet, write_sweep

__all__ = [
    "CardSettings",
    "check_enough_images",
    "default_network",
    "domain_network",
    "efficientnet_network",
    "evaluate_autoencoder",
    "evaluate_model",
    "open_network",
    "sweep_samplers",
    "sweep_sheet",
    "write_card",
    "write_sweep",
]
