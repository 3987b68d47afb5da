"""Label conditions: what stands for the classes of a data set, their numbers or texts."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.class_names import labels_of
from keras_bld.text.encoders import sentence_encoder
from keras_bld.text.wordings import Wordings, first_texts


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

    @property
    def knows_texts(self):
        """Whether the text of every single image is known: not where wordings join classes."""
        return self.takes_text and not self._wordings.joins_classes

    def trained(self, labels):
        """Conditions as in training, one for each real image: an array, or None.

        None also of a text-conditional model where the wordings join classes: the text of another
        class, which an image might get, would be wrong, and no text is not.

        Args:
            labels: integers (num_images,).
        """
        if self.takes_text:
            if not self.knows_texts:
                return None
            return self._wordings.draw(labels, self._generator())
        return None if self.num_classes is None else labels

    def learned(self, labels):
        """Keyword arguments, one condition for each real image, for what learns from both.

        They are those of `trained`, and of a text-conditional model where wordings join classes the
        first wording of an image's class.

        Args:
            labels: integers (num_images,).
        """
        if self.takes_text and not self.knows_texts:
            return self.asked(labels)
        return self.as_arguments(self.trained(labels))

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
        if condition is not None:
            return {self._argument: condition}
        return {} if self.num_classes is None else {"drop_condition": True}

    def _generator(self):
        return np.random.default_rng(self._seed)


class ConditionCycle:
    """The condition of image i is entry i modulo their number.

    Args:
        argument: the keyword of the sampling methods, "labels" or "text_embeddings".
        entries: labels, or numbers of texts; empty for an unconditional model.
        settings: what was asked for, as entries of a JSON file.
        embed: of texts: callable numbers -> their embeddings.
    """

    def __init__(self, argument, entries, settings, embed=np.asarray):
        self._argument = argument
        self._entries = np.asarray(entries)
        self._embed = embed
        self.settings = settings

    def __len__(self):
        return len(self._entries)

    def of(self, indices):
        """Keyword arguments of the sampling methods for the images with these numbers."""
        if not len(self):
            return {}
        return {self._argument: self._embed(self._entries[np.asarray(indices) % len(self)])}


def condition_cycle(model, metadata, labels=(), prompts=()):
    """Return the conditions of a model's images.

    Args:
        model: a `BinaryLatentDiffusion`.
        metadata: of its preset; `text_encoder` names the encoder that it was trained with,
            `wordings` holds the texts.
        labels: classes by name or number; by default all of a class-conditional model.
        prompts: texts for a text-conditional model; by default the first one of each class that
            it was trained on.

    Raises:
        ValueError: texts for a model without text, none for a model with it, an unknown class, or
            an encoder that is unknown or whose embeddings do not fit the model.
    """
    kind = model.denoiser.condition_kind
    if kind in (None, "class"):
        if prompts:
            described = "unconditional" if kind is None else "class-conditional"
            raise checks.error(
                "prompt",
                f"{prompts[0]!r}",
                f"no text, the model is {described}",
                "leave --prompt out, or take a model that is conditioned on text",
            )
        classes = _classes(model, labels)
        return ConditionCycle("labels", classes, {"labels": classes})
    wordings = None if prompts else metadata.get("wordings")
    if wordings:
        prompts = first_texts(wordings)
    if labels or not prompts:
        raise checks.error(
            "prompt",
            "classes" if labels else "no text",
            "one or more texts, the model is conditioned on text",
            "pass --prompt 'a photo of a lemon'" + (" instead of --labels" if labels else ""),
        )
    encoder = metadata.get("text_encoder")
    if encoder is None:
        raise checks.error(
            "prompt",
            f"{prompts[0]!r}, for a preset that does not name its text encoder",
            "`text_encoder` in the preset's metadata.json",
            "call model.generate(..., text_embeddings=...) in Python",
        )
    # Each text is encoded when an image needs it.
    texts = Wordings([[prompt] for prompt in prompts], sentence_encoder(encoder))
    width = model.denoiser.text_width
    if kind != "token" or texts.width != width:
        raise checks.error(
            "prompt",
            f"embeddings of {encoder}, one of {texts.width} numbers for a text",
            f"{'one' if kind == 'token' else 'a sequence'} of {width} numbers, as in training",
            "call model.generate(..., text_embeddings=...) in Python",
        )
    settings = {"prompt": list(prompts)}
    return ConditionCycle("text_embeddings", range(len(prompts)), settings, texts.first)


def _classes(model, labels):
    """The numbers of these classes, of all without any; none for an unconditional model."""
    num_classes = model.denoiser.num_classes
    if not labels or num_classes is None:
        # Labels for an unconditional model are refused by its methods.
        return list(labels or range(num_classes or 0))
    return labels_of(list(labels), model.class_names, num_classes).tolist()


def stored_wordings(metadata):
    """The `Wordings` that a preset was trained on, encoded again; None where it keeps none.

    Args:
        metadata: of the preset.
    """
    config, encoder = metadata.get("wordings"), metadata.get("text_encoder")
    if config is None or encoder is None:
        return None
    return Wordings.from_config(config, sentence_encoder(encoder))
