"""What images are asked to be: classes or texts, taken in turn."""

import numpy as np

from keras_bld import checks
from keras_bld.text import Wordings, sentence_encoder


class ConditionCycle:
    """The condition of image i is entry i modulo their number.

    Args:
        argument: the keyword of the sampling methods, "labels" or "text_embeddings".
        entries: array with a row for each entry; empty for an unconditional model.
        settings: what was asked for, as entries of a JSON file.
    """

    def __init__(self, argument, entries, settings):
        self._argument = argument
        self._entries = np.asarray(entries)
        self.settings = settings

    def __len__(self):
        return len(self._entries)

    def of(self, indices):
        """Keyword arguments of the sampling methods for the images with these numbers."""
        if not len(self):
            return {}
        return {self._argument: self._entries[np.asarray(indices) % len(self)]}


def condition_cycle(model, metadata, labels=(), prompts=()):
    """Return the conditions of a model's images.

    Args:
        model: a `BinaryLatentDiffusion`.
        metadata: of its preset; `text_encoder` names the encoder that it was trained with,
            `wordings` holds the texts.
        labels: classes; by default all of a class-conditional model.
        prompts: texts for a text-conditional model; by default the first one of each class that
            it was trained on.

    Raises:
        ValueError: texts for a model without text, none for a model with it, or an encoder that
            is unknown or whose embeddings do not fit the model.
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
        classes = list(labels or range(model.denoiser.num_classes or 0))
        return ConditionCycle("labels", classes, {"labels": classes})
    wordings = None if prompts else metadata.get("wordings")
    if wordings:
        prompts = [group[0] for group in wordings["texts"]]
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
    embeddings = sentence_encoder(encoder)(prompts)
    width = model.denoiser.text_width
    if kind != "token" or embeddings.shape[-1] != width:
        raise checks.error(
            "prompt",
            f"embeddings of {encoder}, one of {embeddings.shape[-1]} numbers for a text",
            f"{'one' if kind == 'token' else 'a sequence'} of {width} numbers, as in training",
            "call model.generate(..., text_embeddings=...) in Python",
        )
    return ConditionCycle("text_embeddings", embeddings, {"prompt": list(prompts)})


def stored_wordings(metadata):
    """The `Wordings` that a preset was trained on, encoded again; None where it keeps none.

    Args:
        metadata: of the preset.
    """
    config, encoder = metadata.get("wordings"), metadata.get("text_encoder")
    if config is None or encoder is None:
        return None
    return Wordings.from_config(config, sentence_encoder(encoder))
