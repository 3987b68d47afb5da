"""What each table compares, row by row, and what the paper printed beside it."""

from dataclasses import dataclass, field

from keras_bld import baselines


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: also the name of its folder.
        build: stage 1: callable code_channels -> `Bottleneck`, None for Bernoulli bits; stage 2:
            callable (denoiser arguments, autoencoder) -> a baseline model, None for the Bernoulli
            diffusion.
        options: of `BinaryLatentDiffusion` and its schedule.
        paper: what the paper printed, as text.
        same_as: name of a row of another table that is the same model: trained once.
    """

    name: str
    build: object = None
    options: dict = field(default_factory=dict)
    paper: str = ""
    same_as: str | None = None


def _autoregressive(sizes, autoencoder):
    sizes = {name: value for name, value in sizes.items() if name != "num_training_steps"}
    return baselines.AutoregressivePrior(baselines.CausalTransformer(**sizes), autoencoder)


def _on_denoiser(prior):
    def build(sizes, autoencoder):
        from keras_bld.diffusion import BernoulliDenoiser

        return prior(BernoulliDenoiser(**sizes), autoencoder)

    return build


# Stage 1. The vector quantiser has 10 bits a cell, as in the paper; finite scalars nearly as many.
TABLE_4 = (
    Row("binary", paper="PSNR 24.02, SSIM 0.75 (16x16x32)"),
    Row(
        "vector_quantised",
        lambda channels: baselines.VectorQuantizer(1024, 16, seed=0),
        paper="PSNR 20.08, SSIM 0.62 (16x16, 1024 vectors)",
    ),
    Row(
        "real_valued",
        lambda channels: baselines.GaussianBottleneck(max(1, channels // 2), seed=0),
        paper="PSNR 24.08, SSIM 0.70 (16x16x16 numbers)",
    ),
    Row("tanh_bernoulli", lambda channels: baselines.TanhBernoulli(channels, seed=0)),
    Row("lookup_free", lambda channels: baselines.LookupFreeQuantizer(channels)),
    Row("binary_spherical", lambda channels: baselines.BinarySphericalQuantizer(channels)),
    Row("finite_scalar", lambda channels: baselines.FiniteScalarQuantizer((8, 5, 5, 5))),
)

# First in every table of stage 2: the shared autoencoder on real codes, as from a perfect prior.
RECONSTRUCTIONS = Row("reconstructions")

TABLE_5 = (
    Row("binary_diffusion", paper="Churches FID 4.36 (64 steps)"),
    Row(
        "absorbing_diffusion",
        _on_denoiser(baselines.AbsorbingDiffusion),
        paper="Churches FID 5.44 (256 steps)",
    ),
    Row("autoregressive", _autoregressive, paper="Churches FID 7.25 (256 steps)"),
    Row("masked_bits", _on_denoiser(baselines.MaskedBitPrior)),
)

TABLE_7 = (
    Row("lambda_0", options={"vlb_weight": 0.0}, paper="FID 5.07, recall 0.42"),
    Row("lambda_0.01", options={"vlb_weight": 0.01}, paper="FID 4.68, recall 0.46"),
    Row("lambda_0.1", paper="FID 4.36, recall 0.50", same_as="binary_diffusion"),
    Row("lambda_1", options={"vlb_weight": 1.0}, paper="FID 5.12, recall 0.48"),
    Row("target_z0", options={"target": "z0"}, paper="FID 4.72, recall 0.50"),
    Row("target_extrinsic", options={"target": "extrinsic"}),
    Row("target_previous", options={"target": "previous"}, paper="FID 5.09, recall 0.48"),
)

SCHEDULES = (
    Row("linear", same_as="binary_diffusion"),
    Row("cos", options={"schedule": "cos"}),
    Row("sigmoid", options={"schedule": "sigmoid"}),
)

FIGURE_7 = (Row("many_steps"),)
FIGURE_7_STEPS = (4, 8, 16, 32, 64, 256)

# Name -> (which stage its rows train, rows).
EXPERIMENTS = {
    "table4": ("autoencoder", TABLE_4),
    "table5": ("diffusion", TABLE_5),
    "table7": ("diffusion", TABLE_7),
    "schedules": ("diffusion", SCHEDULES),
    "figure7": ("steps", FIGURE_7),
}
