"""Embeddings of texts, each made once; a folder keeps them for later runs."""

import json
import pathlib
import zipfile

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import replacing, writing_to
from keras_bld.base.zip_files import open_archive

_TEXTS_PER_FILE = 4096
_TOLERANCE = 1e-3  # of what an encoder makes of one text beside others, or on another machine


class EmbeddingCache:
    """A sentence encoder that remembers what it has made.

    Args:
        encode: callable list of str -> float array (num_texts, width) or (num_texts, length,
            width); called with texts that are needed for the first time, each once.

    Call arguments:
        texts: list of str.

    Returns:
        float32 array (num_texts, width) or (num_texts, length, width).

    Raises:
        ValueError: embeddings of another shape.

    Example:
        >>> embeddings = EmbeddingCache(lambda texts: [[len(text)] for text in texts])
        >>> embeddings(["pear", "oat", "pear"]).tolist()
        [[4.0], [3.0], [4.0]]
    """

    def __init__(self, encode):
        self._encode, self._rows = encode, {}
        self._folder, self._unsaved = None, []

    def keep_in(self, folder):
        """Take the embeddings that the folder has, and write new ones there, some thousand a file.

        What another encoder made, or a file that cannot be read, is left alone and made anew.

        Args:
            folder: path; made where it is missing.

        Raises:
            WriteError: a folder where nothing can be written.
        """
        folder = pathlib.Path(folder)
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.npz")):
            texts, rows = _read(file)
            if not texts or not self._makes(texts[0], rows[0]):
                continue
            self._rows.update(zip(texts, rows, strict=True))
        self._folder = folder

    def __call__(self, texts):
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            self._rows.update(zip(new, self._made_of(new), strict=True))
            self._unsaved += new
            if self._folder is not None and len(self._unsaved) >= _TEXTS_PER_FILE:
                self._save()
        return np.stack([self._rows[text] for text in texts])

    def _made_of(self, texts):
        embeddings = np.asarray(self._encode(texts), "float32")
        if embeddings.ndim not in (2, 3) or len(embeddings) != len(texts):
            raise checks.error(
                "encode",
                f"an array of shape {embeddings.shape} for {len(texts)} texts",
                f"({len(texts)}, width) or ({len(texts)}, length, width)",
                "return one embedding for each text",
            )
        return embeddings

    def _makes(self, text, row):
        """Whether the encoder makes this of the text."""
        (own,) = self._made_of([text])
        return own.shape == row.shape and np.allclose(own, row, atol=_TOLERANCE)

    def _save(self):
        numbers = [int(file.stem) for file in self._folder.glob("*.npz") if file.stem.isdigit()]
        content = {
            "texts": np.frombuffer(json.dumps(self._unsaved).encode(), "uint8"),
            "embeddings": np.stack([self._rows[text] for text in self._unsaved]),
        }
        with replacing(self._folder / f"{max(numbers, default=0) + 1:05d}.npz") as new:
            with open(new, "wb") as file:
                np.savez(file, **content)
        self._unsaved = []


def _read(file):
    """The texts of a file and their embeddings; none where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            with open_archive(opened):  # claims no more than it holds
                opened.seek(0)
                with np.load(opened, allow_pickle=False) as content:
                    texts = json.loads(content["texts"].tobytes())
                    rows = content["embeddings"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return [], None
    return (texts, rows) if len(texts) == len(rows) else ([], None)
