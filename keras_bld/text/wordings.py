"""Several wordings for each class of a data set, encoded: the condition of a text model."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.templates import fill_templates
from keras_bld.text.embedding_cache import EmbeddingCache


class Wordings:
    """Texts for each class of a data set, and their embeddings.

    A text-conditional model trains on one wording of an image's class, drawn anew for every batch;
    wordings it has never seen tell whether it has learned what they mean.

    Args:
        texts: for each class, a sequence of one or more str.
        encode: callable list of str -> float array (num_texts, width) or (num_texts, length,
            width); called with texts that are needed for the first time, each once.
        unseen: like `texts`; kept apart for evaluation. None where there are none.
        class_names: what each class shows; several classes may share a name (two captions of
            apples). By default the first text of each.

    Attributes:
        texts, unseen: the texts, as tuples of tuples.
        class_names: tuple of str.
        width: channels of an embedding.
        text_conditioning: "token" or "cross_attention", what the embeddings are for.
        joins_classes: whether a class here stands for several, so that which of its texts belong to
            one of its images is not known (`for_classes`).

    Raises:
        ValueError: a class without a text, or embeddings of another shape.

    Example:
        >>> import numpy as np
        >>> def encode(texts):
        ...     return np.array([[len(text), text.count("a")] for text in texts], "float32")
        >>> wordings = Wordings([["apple", "an apple"], ["pear"]], encode)
        >>> wordings.first([1, 0]).tolist(), wordings.num_classes
        ([[4.0, 1.0], [5.0, 1.0]], 2)
    """

    def __init__(self, texts, encode, unseen=None, class_names=None):
        self.texts = _as_tuples("texts", texts)
        self.unseen = None if unseen is None else _as_tuples("unseen", unseen)
        self.joins_classes = False
        self.class_names = tuple(class_names or (group[0] for group in self.texts))
        for argument, entries in (("unseen", self.unseen), ("class_names", self.class_names)):
            if entries is not None and len(entries) != len(self.texts):
                raise checks.error(
                    argument,
                    f"entries for {len(entries)} classes",
                    f"entries for the {len(self.texts)} classes of `texts`",
                    "give every class its own, in the same order",
                )
        self._encoded, self._templates = EmbeddingCache(encode), None
        (example,) = self._encoded([self.texts[0][0]])
        self.width = example.shape[-1]
        self.text_conditioning = "token" if example.ndim == 1 else "cross_attention"

    @classmethod
    def from_templates(
        cls, templates, fields, encode, unseen=None, class_names=None, most_texts=None
    ):
        """The same from templates, which is also what `get_config` then keeps.

        Args:
            templates, fields: as for `fill_templates`.
            encode, class_names: as for the class.
            unseen: templates that are kept apart for evaluation. None where there are none.
            most_texts: how many texts a class has at most: that of the first template, and others
                at random, the same each time. What a wording means is learned from all classes,
                and fewer texts are sooner encoded. None for all templates.

        Example:
            >>> fields = {"name": ["cat", "cat"], "style": ["flat", "round"]}
            >>> wordings = Wordings.from_templates(
            ...     ["{name}, {style} style"], fields, lambda texts: [[1.0]] * len(texts)
            ... )
            >>> wordings.texts
            (('cat, flat style',), ('cat, round style',))
        """
        fields = {name: [str(value) for value in values] for name, values in fields.items()}
        kept_apart = None if unseen is None else fill_templates(unseen, fields)
        texts = fill_templates(templates, fields)
        if most_texts is not None:
            checks.check_integer("most_texts", most_texts, 1)
            texts = [_some(group, most_texts, label) for label, group in enumerate(texts)]
        wordings = cls(texts, encode, kept_apart, class_names)
        wordings._templates = {
            "templates": list(templates),
            "unseen_templates": None if unseen is None else list(unseen),
            "fields": fields,
            "most_texts": most_texts,
        }
        return wordings

    @classmethod
    def from_config(cls, config, encode):
        """Make again what `get_config` described; `encode` as for the class."""
        class_names = config["class_names"]
        if "templates" not in config:
            return cls(config["texts"], encode, config["unseen"], class_names)
        templates, unseen = config["templates"], config["unseen_templates"]
        most_texts = config.get("most_texts")  # not in presets of before
        return cls.from_templates(
            templates, config["fields"], encode, unseen, class_names, most_texts
        )

    def get_config(self):
        """The texts, or templates with their fields, and names, ready for JSON; no encoder."""
        names = {"class_names": list(self.class_names)}
        if self._templates is not None:
            return {**names, **self._templates}
        return {
            **names,
            "texts": [list(group) for group in self.texts],
            "unseen": None if self.unseen is None else [list(group) for group in self.unseen],
        }

    def for_classes(self, class_names):
        """The wordings for a data set whose classes have these names: classes of one name joined.

        Args:
            class_names: sequence of str, in the data set's order.

        Returns:
            `Wordings` of `len(class_names)` classes.

        Raises:
            ValueError: a name that no class here has.
        """
        members = {name: [] for name in class_names}
        for label, name in enumerate(self.class_names):
            members.get(name, []).append(label)
        missing = [name for name in class_names if not members[name]]
        if missing or not members:
            raise checks.error(
                "class_names",
                f"{missing[0]!r} among {len(class_names)} classes" if missing else "no classes",
                f"classes that have texts, such as {self.class_names[0]!r}",
                "take the data set that the texts were written for",
            )

        return self._joined([members[name] for name in class_names], class_names)

    def for_captions(self, captions, known=None):
        """The wordings for a data set whose classes are captions, in its own order.

        Args:
            captions: sequence of str, the data set's classes.
            known: captions of the classes here, one each; None finds a caption among their texts.

        Returns:
            `Wordings` of `len(captions)` classes.

        Raises:
            ValueError: a caption that belongs to no class here, or to several.
        """
        groups = self.texts if known is None else [[caption] for caption in known]
        owners = {}
        for label, group in enumerate(groups):
            for text in group:
                owners.setdefault(text, []).append(label)
        for caption in captions:
            count = len(owners.get(caption, ()))
            if count != 1:
                raise checks.error(
                    "captions",
                    f"{caption!r}, which belongs to {count} of the classes that have texts",
                    f"captions that belong to one each, such as {groups[0][0]!r}",
                    "take the data set and the captions that the texts were written for",
                )
        chosen = [owners[caption] for caption in captions]
        return self._joined(chosen, [self.class_names[label] for (label,) in chosen])

    def _joined(self, members, class_names):
        """Wordings whose class i has the texts of all classes in members[i]."""

        def joined(groups):
            if groups is None:
                return None
            return [[text for label in labels for text in groups[label]] for labels in members]

        wordings = Wordings(joined(self.texts), self._encoded, joined(self.unseen), class_names)
        wordings.joins_classes = any(len(labels) > 1 for labels in members)
        return wordings

    def keep_embeddings_in(self, folder):
        """Keep the embeddings in a folder, from which a later run takes them (`EmbeddingCache`)."""
        self._encoded.keep_in(folder)

    @property
    def num_classes(self):
        """Number of classes that have texts."""
        return len(self.texts)

    def first(self, labels):
        """The first wording of each label's class: float32 (len(labels), ..., width)."""
        return self._gather(self.texts, labels, lambda group: 0)

    def draw(self, labels, generator):
        """One wording of each label's class at random.

        Args:
            labels: integers (batch,).
            generator: `numpy.random.Generator`.

        Returns:
            float32 (batch, width) or (batch, length, width).
        """
        return self._gather(self.texts, labels, lambda group: generator.integers(len(group)))

    def draw_unseen(self, labels, generator):
        """Like `draw`, of the wordings that are kept apart; ValueError where there are none."""
        if self.unseen is None:
            raise checks.error(
                "unseen", "None", "wordings that training does not see", "pass unseen=..."
            )
        return self._gather(self.unseen, labels, lambda group: generator.integers(len(group)))

    def _gather(self, groups, labels, choose):
        labels = np.asarray(labels)
        if labels.size and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise checks.error(
                "labels",
                f"values from {labels.min()} to {labels.max()}",
                f"integers in [0, {self.num_classes})",
                "pass classes of the data set that the texts were written for",
            )
        return self._encoded([groups[label][choose(groups[label])] for label in labels.tolist()])


def first_texts(config):
    """The first wording of each class, from what `Wordings.get_config` returned."""
    if "templates" in config:
        return [group[0] for group in fill_templates(config["templates"][:1], config["fields"])]
    return [group[0] for group in config["texts"]]


def _some(texts, number, seed):
    """The first text, and others at random; `number` texts in all, where there are so many."""
    others = np.random.default_rng(seed).permutation(len(texts) - 1)[: number - 1]
    return (texts[0], *(texts[1 + index] for index in sorted(others)))


def _as_tuples(argument, groups):
    groups = tuple(tuple(group) if not isinstance(group, str) else group for group in groups)
    for label, group in enumerate(groups):
        valid = not isinstance(group, str) and group
        if not valid or not all(isinstance(text, str) for text in group):
            raise checks.error(
                argument,
                f"{group!r} for class {label}",
                "a list of one or more str for every class",
                "write [['a cat', 'one cat'], ['a dog']] for two classes",
            )
    return groups
