"""Grocery photographs from text, 64 x 64: the codes of grocery_64, conditioned on captions.

Each photograph has a caption such as "a photo of granny smith apple in a grocery store" (81 of
them, in the folder's manifest.csv). Training draws one of several wordings of it for every batch,
as an embedding of all-MiniLM-L6-v2 (extra `text`; it works offline); others are kept for the
evaluation. The autoencoder is that of the preset bld_grocery_64, and stage 2 begins with its
denoiser: all but the condition.

    python recipes/grocery_64_text.py --data-dir FOLDER
    python recipes/grocery_64_text.py --data-dir FOLDER --mixed-precision
    python recipes/grocery_64_text.py --data-dir FOLDER --smoke

Another encoder: let `wordings` pass any function from a list of str to an array (number of texts,
width), or (number of texts, length, width) for cross-attention.
"""

from dataclasses import dataclass

from keras_bld.data import DataSet
from keras_bld.diffusion import Sampling
from keras_bld.text import Wordings, sentence_encoder
from keras_bld.training import Recipe, main

BEFORE, AFTER = "a photo of ", " in a grocery store"
SEEN = (
    "{}",
    "a photo of {}",
    "a photo of {} in a grocery store",
    "{} in a shop",
    "a picture of some {}",
    "I would like to buy {}",
)
UNSEEN = (
    "a snapshot showing {}",
    "{} on a supermarket shelf",
    "please draw {} for me",
    "close-up of {} at the market",
)


@dataclass(frozen=True)
class Grocery64Text(Recipe):
    """Settings for a few thousand photographs and two CPU cores."""

    name = "grocery_64_text"
    data_credit = "Grocery Store Dataset (Klasson, Zhang and Kjellstrom, 2019), MIT"
    text_encoder = "all-MiniLM-L6-v2"
    image_size: int = 64

    autoencoder_preset: str | None = "bld_grocery_64"
    code_channels: int = 16
    width_multipliers: tuple[int, ...] = (1, 2, 4)

    denoiser_preset: str | None = "bld_grocery_64"
    depth: int = 6
    width: int = 192
    num_heads: int = 3
    target: str = "z0"
    diffusion_steps: int = 3000
    diffusion_batch_size: int = 32
    diffusion_learning_rate: float = 5e-4
    diffusion_warmup_steps: int = 200
    diffusion_ema_momentum: float = 0.998

    learning_rate_decay: str = "cosine"
    steps_per_epoch: int = 250
    sampling: Sampling = Sampling(num_steps=16, guidance_scale=2.0)

    def data_set(self):
        """The images below `data_dir`; their captions are the classes."""
        columns = {"captions": "manifest.csv", "caption_column": "caption_from_label"}
        return DataSet("folder", self.data_dir, on_error=self.on_error, **columns)

    def wordings(self):
        """Six wordings of every caption for training, four others for the evaluation."""
        source = self.source("train")
        names = [text.removeprefix(BEFORE).removesuffix(AFTER) for text in source.class_names]
        return Wordings(
            [[form.format(name) for form in SEEN] for name in names],
            sentence_encoder(self.text_encoder),
            [[form.format(name) for form in UNSEEN] for name in names],
            source.folder_names,
        )


if __name__ == "__main__":
    main(Grocery64Text)
