"""What stands for the classes of a data set in a model's condition: their numbers, or texts."""

import numpy as np

from keras_bld import checks


class LabelConditions:
    """The conditions of a model for images of given classes.

    Args:
        model: a `BinaryLatentDiffusion`.
        wordings: `Wordings` for the classes; of a text-conditional model, None for others.
        seed: of the wordings that are drawn.

    Attributes:
        num_classes: how many classes can be asked for; None for an unconditional model.
        takes_text: whether the conditions are embeddings of texts.

    Raises:
        ValueError: a text-conditional model without wordings, others with them, or embeddings of
            another form than the model takes.
    """

    def __init__(self, model, wordings=None, seed=0):
        denoiser = model.denoiser
        self._wordings = wordings
        self._seed = seed
        self.takes_text = denoiser.condition_kind in ("token", "cross_attention")
        if self.takes_text != (wordings is not None):
            kind = "conditioned on text" if self.takes_text else "not conditioned on text"
            raise checks.error(
                "wordings",
                f"{'None' if wordings is None else 'wordings'} for a model that is {kind}",
                "a `Wordings` of the classes for a model of texts, None for others",
                "pass wordings=..." if self.takes_text else "leave wordings out",
            )
        if self.takes_text:
            wanted = (denoiser.condition_kind, denoiser.text_width)
            given = (wordings.text_conditioning, wordings.width)
            if given != wanted:
                raise checks.error(
                    "wordings",
                    f"embeddings of width {given[1]} for {given[0]}",
                    f"width {wanted[1]} for {wanted[0]}",
                    "take the text encoder that the model was trained with",
                )
        self.num_classes = wordings.num_classes if self.takes_text else denoiser.num_classes
        self._argument = "text_embeddings" if self.takes_text else "labels"

    def trained(self, labels):
        """Conditions as in training, one for each real image: an array, or None.

        Args:
            labels: integers (num_images,).
        """
        if self.takes_text:
            return self._wordings.draw(labels, self._generator())
        return None if self.num_classes is None else labels

    def asked(self, labels, unseen=False):
        """Keyword arguments of the sampling methods that ask for images of these classes.

        Args:
            labels: integers (num_images,); passed over by an unconditional model.
            unseen: of a text-conditional model, draw among the wordings that training has not
                seen, where there are some; otherwise the first wording of each class counts.
        """
        if not self.takes_text:
            return self.as_arguments(self.trained(labels))
        if unseen and self._wordings.unseen is not None:
            return self.as_arguments(self._wordings.draw_unseen(labels, self._generator()))
        return self.as_arguments(self._wordings.first(labels))

    def as_arguments(self, condition):
        """Keyword arguments of the model's methods for an array of conditions, or None."""
        return {} if condition is None else {self._argument: condition}

    def _generator(self):
        return np.random.default_rng(self._seed)
