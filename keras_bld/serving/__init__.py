"""Serving: export to formats that run without Keras, and its verification."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.serving.export import export_model
    from keras_bld.serving.verification import verify_export

__all__ = ["export_model", "verify_export"]

__getattr__, __dir__ = lazy_names(__name__)
