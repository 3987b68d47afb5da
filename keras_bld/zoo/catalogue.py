"""The architectures by name, as pure data: sizes, number of weights, and the reported metric.

Sources: Wang et al., "Binary Latent Diffusion" (CVPR 2023), Tables 1-3, Section 5 and appendix B;
for the rows marked "released" the authors' repository (MIT licence), whose samplers train with
T = 64. `tests/zoo/test_architectures.py` builds every row and counts its weights.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """One row of the catalogue.

    Attributes:
        name: what `build` takes, and `load_preset` where `has_weights`.
        resolution: height and width of an image in pixels.
        downsampling: f, pixels to a cell of the code.
        code_channels: bits for each cell.
        decoder_num_blocks: residual blocks a level in the decoder (the encoder has 2).
        depth, width, num_heads: the denoiser's sizes; None for an autoencoder alone.
        num_training_steps: T of training.
        condition: None, "class", "token" or "cross_attention".
        condition_size: number of classes, or width of a text embedding.
        num_denoiser_weights, num_autoencoder_weights: without critic.
        origin: "paper" (described there, never released), "released" (by the authors; bring it
            with `keras-bld convert`), "code" (in the authors' code, never released) or
            "keras_bld" (trained with this library).
        licence: of the weights; None where there are none.
        guidance_scale: w of the authors' samples, which the metric was measured with.
        metric: what was reported, 50,000 samples at temperature 0.9 where it is an FID.
        has_weights: whether `load_preset(name)` works here and now.
        damage: what is wrong with the files that are here under this name; None where nothing is.
            Sizes that a damaged preset does not tell are None.
        shares_autoencoder_with: name of the preset in whose files the weights of its autoencoder
            are; None where they are in its own.
    """

    name: str
    resolution: int
    downsampling: int
    code_channels: int
    decoder_num_blocks: int
    depth: int | None
    width: int | None
    num_heads: int | None
    num_training_steps: int | None
    condition: str | None
    condition_size: int | None
    num_denoiser_weights: int
    num_autoencoder_weights: int
    origin: str
    licence: str | None
    guidance_scale: float
    metric: str | None
    has_weights: bool = False
    damage: str | None = None
    shares_autoencoder_with: str | None = None

    @property
    def num_weights(self):
        """Weights of the denoiser and the autoencoder together."""
        return self.num_denoiser_weights + self.num_autoencoder_weights

    @property
    def code_shape(self):
        """(height, width, bits) of a code."""
        cells = self.resolution // self.downsampling
        return (cells, cells, self.code_channels)


_NO_DENOISER = (None, None, None, None)

# Two lines a row:
#   name, pixels, f, bits, decoder blocks, (depth, width, heads, T), (condition, size),
#   weights of the denoiser, of the autoencoder, origin, licence, guidance scale, metric.
# fmt: off
CATALOGUE = tuple(Preset(*row[:5], *row[5], *row[6], *row[7:]) for row in (
    ("bld_lsun_churches_256",         256, 16,  32, 2, (24, 512,  8, 64), (None, None),
      76_372_000, 63_037_859, "paper",    None,  0.0, "FID 4.36, P 0.68, R 0.50 (Table 1)"),
    ("bld_lsun_bedrooms_256",         256, 16,  32, 2, (24, 512,  8, 64), (None, None),
      76_372_000, 63_037_859, "paper",    None,  0.0, "FID 3.85, P 0.65, R 0.44 (Table 1)"),
    ("bld_ffhq_256",                  256, 16,  32, 2, (24, 512,  8, 64), (None, None),
      76_372_000, 63_037_859, "paper",    None,  0.0, "FID 5.85, P 0.73, R 0.50 (Table 1)"),
    ("bld_celeba_hq_256",             256, 16,  32, 2, (24, 512,  8, 64), (None, None),
      76_372_000, 63_037_859, "paper",    None,  0.0, "FID 6.24, P 0.71, R 0.48 (Table 1)"),
    ("bld_imagenet_256",              256, 16,  64, 2, (24, 768, 12, 64), ("class", 1000),
     172_391_488, 63_054_275, "paper",    None,  2.0, "FID 8.21, IS 162.3, CAS 65.1 % (Table 2)"),
    ("bld_ffhq_1024",                1024, 32,  64, 2, (24, 512,  8, 64), (None, None),
      76_798_016, 82_453_955, "paper",    None,  0.0, "FID 6.75 (Table 3; 6.35 with T = 256)"),
    ("bld_celeba_hq_1024",           1024, 32,  64, 2, (24, 512,  8, 64), (None, None),
      76_798_016, 82_453_955, "paper",    None,  0.0, "FID 6.12 (Table 3; 6.03 with T = 256)"),
    ("bae_laion_256_c64",             256, 16,  64, 2, _NO_DENOISER,      (None, None),
               0, 63_054_275, "released", "MIT", 0.0, None),
    ("bae_laion_256_c128",            256, 16, 128, 6, _NO_DENOISER,      (None, None),
               0, 97_995_267, "released", "MIT", 0.0, None),
    ("bld_lsun_churches_256_c64",     256, 16,  64, 2, (24, 768, 12, 64), (None, None),
     171_623_488, 63_054_275, "released", "MIT", 0.0, "FID 4.17 (authors' repository)"),
    ("bld_laion_256_text",            256, 16,  64, 2, (24, 768, 12, 64), ("token", 768),
     172_214_080, 63_054_275, "released", "MIT",10.0, None),
    ("bld_laion_256_cross_attention", 256, 16,  64, 2, (24, 768, 12, 64), ("cross_attention", 1024),
     237_837_376, 63_054_275, "code",     None, 10.0, None),
))
# fmt: on
