"""A callback that shows what a prior makes while it trains."""

import io
import pathlib
import time

import keras

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.base.pictures import image_grid, save_picture


class SamplesCallback(keras.callbacks.Callback):
    """Writes a sheet of samples after each epoch, of the same noise, so that sheets compare.

    For `fit` of a prior with an autoencoder. With an optimizer that keeps an average of the
    weights (`use_ema=True`), put `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` before it
    in `callbacks`, and samples are made with the average.

    Args:
        directory: folder for epoch_0001.png, epoch_0002.png, ...; made where missing.
        num_images: images of a sheet.
        labels: as in `generate`; None takes the classes of a class-conditional model in turn.
        every: epochs between two sheets; the first sheet is that of epoch `every`.
        seed: int, of the noise.
        columns: images in a row; None makes the sheet nearly square.
        tensorboard: None, or the folder of TensorBoard's logs, where sheets appear under
            "samples" (extra `recipes`).
        **options: further options of `generate`, such as `num_steps` or `text_embeddings`.

    Attributes:
        paths: the files written.

    Raises:
        ValueError: an argument out of range; a model without `generate` or an autoencoder.
        ImportError: `tensorboard` without the package.

    Example:

    >>> callback = SamplesCallback("runs/samples", num_steps=16)
    >>> model.fit(images, labels, epochs=10, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        directory,
        num_images=16,
        labels=None,
        every=1,
        seed=0,
        columns=None,
        tensorboard=None,
        **options,
    ):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.num_images = checks.check_integer("num_images", num_images, 1)
        self.labels = labels
        self.every = checks.check_integer("every", every, 1)
        self.columns = columns
        self.options = {"seed": seed, "progress": False, **options}
        self.paths = []
        self._writer = None
        if tensorboard is not None:
            writers = import_optional(
                "tensorboard.summary.writer.event_file_writer", extra="recipes"
            )
            self._writer = writers.EventFileWriter(str(tensorboard))

    def on_train_begin(self, logs=None):
        """Refuse a model that makes no images, before it trains."""
        if getattr(self.model, "autoencoder", None) is None or not hasattr(self.model, "generate"):
            raise checks.error(
                "SamplesCallback",
                f"fit of {self.model!r}",
                "fit of a model that generates images, such as a BinaryLatentDiffusion with its"
                " autoencoder",
                "leave the callback out, or build the model with autoencoder=...",
            )

    def on_epoch_end(self, epoch, logs=None):
        """Make, write and log the sheet of an epoch."""
        if (epoch + 1) % self.every:
            return
        labels = self.labels
        denoiser = self.model.denoiser
        if labels is None and denoiser.condition_kind == "class":
            labels = [index % denoiser.num_classes for index in range(self.num_images)]
        images = self.model.generate(self.num_images, labels, **self.options)
        sheet = image_grid(images, columns=self.columns)
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"epoch_{epoch + 1:04d}.png"
        save_picture(path, sheet)
        self.paths.append(path)
        if self._writer is not None:
            self._writer.add_event(_image_event(sheet, epoch + 1))
            self._writer.flush()


def _image_event(picture, step):
    """A picture as TensorBoard's files hold it; the same bytes whatever the backend."""
    event = import_optional("tensorboard.compat.proto.event_pb2", extra="recipes")
    summary = import_optional("tensorboard.compat.proto.summary_pb2", extra="recipes")
    content = io.BytesIO()
    picture.save(content, format="PNG")
    image = summary.Summary.Image(
        height=picture.height,
        width=picture.width,
        colorspace=len(picture.getbands()),
        encoded_image_string=content.getvalue(),
    )
    value = summary.Summary.Value(tag="samples", image=image)
    return event.Event(wall_time=time.time(), step=step, summary=summary.Summary(value=[value]))
