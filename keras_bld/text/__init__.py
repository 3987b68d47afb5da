"""Text: encoders of sentences, and the wordings that stand for the classes of a data set."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.text.encoders import SENTENCE_ENCODERS, sentence_encoder
    from keras_bld.text.label_conditions import LabelConditions
    from keras_bld.text.wordings import Wordings

__all__ = ["SENTENCE_ENCODERS", "LabelConditions", "Wordings", "sentence_encoder"]

__getattr__, __dir__ = lazy_names(__name__)
