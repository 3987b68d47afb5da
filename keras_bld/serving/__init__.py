"""Serving: export to a SavedModel, and its verification."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.serving.saved_model import export_saved_model
    from keras_bld.serving.tensorflow_verification import verify_saved_model

__all__ = ["export_saved_model", "verify_saved_model"]

__getattr__, __dir__ = lazy_names(__name__)
