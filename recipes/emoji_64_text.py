"""Emoji from words, 64 x 64: "a happy cat with sunglasses, fluent style".

About 9,000 emoji in the styles of three designers (Google's Noto, Twitter's Twemoji, Microsoft's
Fluent) with their names and keywords, in a folder with `manifest.csv`. Stage 1 learns a code of
16 x 16 x 16 bits; stage 2 learns its distribution for a text, with tokens of 4 x 4 cells.

    python recipes/emoji_64_text.py --data-dir FOLDER
    python recipes/emoji_64_text.py --data-dir FOLDER --mixed-precision
    python recipes/emoji_64_text.py --data-dir FOLDER --smoke

--mixed-precision trains in bfloat16, about twice as fast on a processor that has it. On a GPU add
`--dropout 0.1 --shift 1 --diffusion-batch-size 256 --diffusion-learning-rate 1e-3`: an H100 makes
4,500 such steps in two minutes (docs/experiments.md).
"""

from dataclasses import dataclass

import numpy as np

from keras_bld.data import DataSet, Subset
from keras_bld.diffusion import Sampling
from keras_bld.text import Wordings, sentence_encoder
from keras_bld.training import Recipe, main

SEEN = (
    "{name}, {style} style",
    "{name}",
    "{style} {name}",
    "{style} emoji: {name}",
    "{name} emoji, {style}",
    "an emoji of {name}, drawn as in {style}",
    "draw {name} in the style of {style}",
    "can you draw {name}? {style} style",
    "a {style} icon of {name}",
    "give me {name} as a {style} emoji",
    "make a picture of {name}, please, {style}",
    "I want a {style} sticker of {name}",
    "{name} ({keywords}), {style} style",
    "{keywords}, {style} style",
    "{keywords}: {style} emoji",
    "{name}, {keywords}, made by {style}",
    "{name} by {style}",
    "{name} - {style}",
    "{style}, {name}",
    "{style}: {name}",
    "{name}, as {style} draws it",
    "{name}, in the {style} manner",
    "{name}, the {style} version",
    "the {style} emoji for {name}",
    "the {style} emoji that shows {name}",
    "how does {style} draw {name}?",
    "what would {name} look like in {style}?",
    "a drawing of {name}, {style} emoji set",
    "{name} from the {style} emoji set",
    "generate {name} using {style}",
    "create an image: {name}, {style} look",
    "could I have {name}, {style} style, please",
    "{style} style illustration of {name}",
    "a small {style} image showing {name}",
    "{name}, {keywords}. {style}",
    "{style}. {keywords}",
    "an emoji with {keywords}, {style} style",
    "I am looking for {keywords} in {style} style",
)
UNSEEN = (
    "please show me a {style} picture of {name}",
    "{name} in {style} design",
    "I need an icon, {style}, with {name}",
)


@dataclass(frozen=True)
class Emoji64Text(Recipe):
    """Settings for nine thousand drawings and two CPU cores."""

    name = "emoji_64_text"
    data_credit = (
        "Noto Emoji (Google, Apache 2.0), Twemoji (Twitter, Inc and other contributors, CC-BY 4.0),"
        " Fluent Emoji (Microsoft, MIT); names and keywords: emojibase-data (MIT)"
    )
    text_encoder = "all-MiniLM-L6-v2"
    image_size: int = 64
    random_flip: bool = False  # a mirrored "right arrow" is none

    code_channels: int = 16
    sharpness: float = 5.0
    base_width: int = 32
    width_multipliers: tuple[int, ...] = (1, 2, 3)
    num_blocks: int = 1
    attention_resolutions: tuple[int, ...] = ()
    embedding_width: int = 128
    num_groups: int = 8
    perceptual: str = "none"
    adversarial_weight: float = 0.0
    autoencoder_steps: int = 9000
    autoencoder_batch_size: int = 16
    autoencoder_learning_rate: float = 1e-3
    autoencoder_warmup_steps: int = 200

    depth: int = 8
    width: int = 256
    num_heads: int = 4
    patch_size: int = 4
    target: str = "extrinsic"
    diffusion_steps: int = 24_000
    diffusion_batch_size: int = 64
    diffusion_learning_rate: float = 7e-4
    diffusion_warmup_steps: int = 500
    diffusion_ema_momentum: float = 0.999
    most_texts: int = 12
    """How many of the wordings each emoji has, another choice for each."""
    things_repeated: int = 3
    """How often a pass of stage 2 takes an emoji without a skin tone; people come in six tones."""

    diffusion_fields = (*Recipe.diffusion_fields, "most_texts", "things_repeated")

    learning_rate_decay: str = "cosine"
    steps_per_epoch: int = 250
    sampling: Sampling = Sampling(num_steps=16, guidance_scale=2.0)

    def data_set(self):
        """The images below `data_dir`; a name in a style is a class of its own."""
        columns = {"captions": "manifest.csv", "caption_column": "{name}, {style} style"}
        columns["caption_groups"] = "kind"  # "new_style", "unseen"
        return DataSet("folder", self.data_dir, on_error=self.on_error, **columns)

    def diffusion_source(self, source):
        """Things as often as people: half of all emoji are skin tones of others."""
        toneless = np.array([not row.get("skin_tone") for row in source.rows])[source.labels]
        repeats = np.where(toneless, self.things_repeated, 1)
        indices = np.repeat(np.arange(len(source)), repeats)
        return super().diffusion_source(Subset(source, indices))

    def wordings(self):
        """Names, keywords and styles in several forms; others are for the evaluation."""
        rows = self.source("train").rows
        fields = {
            "name": [row["name"] for row in rows],
            "style": [row["style"] for row in rows],
            "keywords": [
                ", ".join(row.get("tags", "").split(";")[:4]) or row["name"] for row in rows
            ],
        }
        encode = sentence_encoder(self.text_encoder)
        # On a processor the encoder takes about as long for a text as the denoiser for its code.
        return Wordings.from_templates(
            SEEN, fields, encode, UNSEEN, fields["style"], self.most_texts
        )


if __name__ == "__main__":
    main(Emoji64Text)
