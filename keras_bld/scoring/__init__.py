"""Scores of a trained preset on a data set: the evaluation card and sweeps over samplers."""

from keras_bld.scoring.autoencoder_card import evaluate_autoencoder
from keras_bld.scoring.card import CardSettings, evaluate_model
from keras_bld.scoring.card_files import write_card
from keras_bld.scoring.data_sets import open_data_set
from keras_bld.scoring.networks import domain_network, open_network
from keras_bld.scoring.sweep import sweep_samplers, sweep_sheet, write_sweep

__all__ = [
    "CardSettings",
    "domain_network",
    "evaluate_autoencoder",
    "evaluate_model",
    "open_data_set",
    "open_network",
    "sweep_samplers",
    "sweep_sheet",
    "write_card",
    "write_sweep",
]
