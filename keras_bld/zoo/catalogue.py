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
        num_steps: T of training.
        condition: None, "class", "token" or "cross_attention".
        condition_size: number of classes, or width of a text embedding.
        guidance_scale: w with which the metric was measured.
        num_denoiser_weights, num_autoencoder_weights: without critic.
        metric: what was reported, 50,000 samples at temperature 0.9 where it is an FID.
        origin: "paper" (described there, never released), "released" (by the authors; bring it
            with `python -m keras_bld convert`), "code" (in the authors' code, never released) or
            "keras_bld" (trained with this library).
        licence: of the weights; None where there are none.
        has_weights: whether `load_preset(name)` works here and now.
    """

    name: str
    resolution: int
    downsampling: int
    code_channels: int
    decoder_num_blocks: int
    depth: int | None
    width: int | None
    num_heads: int | None
    num_steps: int | None
    condition: str | None
    condition_size: int | None
    guidance_scale: float
    num_denoiser_weights: int
    num_autoencoder_weights: int
    metric: str | None
    origin: str
    licence: str | None = None
    has_weights: bool = False

    @property
    def num_weights(self):
        """Weights of the denoiser and the autoencoder together."""
        return self.num_denoiser_weights + self.num_autoencoder_weights

    @property
    def code_shape(self):
        """(height, width, bits) of a code."""
        cells = self.resolution // self.downsampling
        return (cells, cells, self.code_channels)


_NONE = (None, None, None, None)

# fmt: off
CATALOGUE = tuple(Preset(*row[:5], *row[5], *row[6], *row[7:]) for row in (
    # name                           pixels  f   bits blocks depth width heads T  condition, size             w     denoiser     autoencoder metric                                               origin
    ("bld_lsun_churches_256",          256, 16,  32, 2, (24, 512,  8, 64), (None, None),              0.0,  76_372_000, 63_037_859, "FID 4.36, P 0.68, R 0.50 (Table 1)",                "paper"),
    ("bld_lsun_bedrooms_256",          256, 16,  32, 2, (24, 512,  8, 64), (None, None),              0.0,  76_372_000, 63_037_859, "FID 3.85, P 0.65, R 0.44 (Table 1)",                "paper"),
    ("bld_ffhq_256",                   256, 16,  32, 2, (24, 512,  8, 64), (None, None),              0.0,  76_372_000, 63_037_859, "FID 5.85, P 0.73, R 0.50 (Table 1)",                "paper"),
    ("bld_celeba_hq_256",              256, 16,  32, 2, (24, 512,  8, 64), (None, None),              0.0,  76_372_000, 63_037_859, "FID 6.24, P 0.71, R 0.48 (Table 1)",                "paper"),
    ("bld_imagenet_256",               256, 16,  64, 2, (24, 768, 12, 64), ("class", 1000),           2.0, 172_391_488, 63_054_275, "FID 8.21, IS 162.3, CAS 65.1 %, w = 2 (Table 2)",   "paper"),
    ("bld_ffhq_1024",                 1024, 32,  64, 2, (24, 512,  8, 64), (None, None),              0.0,  76_798_016, 82_453_955, "FID 6.75 (Table 3; 6.35 with T = 256)",             "paper"),
    ("bld_celeba_hq_1024",            1024, 32,  64, 2, (24, 512,  8, 64), (None, None),              0.0,  76_798_016, 82_453_955, "FID 6.12 (Table 3; 6.03 with T = 256)",             "paper"),
    ("bae_laion_256_c64",              256, 16,  64, 2, _NONE,             (None, None),              0.0,           0, 63_054_275, None,                                                "released", "MIT"),
    ("bae_laion_256_c128",             256, 16, 128, 6, _NONE,             (None, None),              0.0,           0, 97_995_267, None,                                                "released", "MIT"),
    ("bld_lsun_churches_256_c64",      256, 16,  64, 2, (24, 768, 12, 64), (None, None),              0.0, 171_623_488, 63_054_275, "FID 4.17 (authors' repository)",                    "released", "MIT"),
    ("bld_laion_256_text",             256, 16,  64, 2, (24, 768, 12, 64), ("token", 768),           10.0, 172_214_080, 63_054_275, None,                                                "released", "MIT"),
    ("bld_laion_256_cross_attention",  256, 16,  64, 2, (24, 768, 12, 64), ("cross_attention", 1024), 10.0, 237_837_376, 63_054_275, None,                                                "code"),
))
# fmt: on
