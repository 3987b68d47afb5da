"""Experiments: what each table compares, row by row, and what the paper printed beside it."""

from dataclasses import dataclass, field

from keras_bld import baselines


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: also the name of its folder.
        bottleneck: stage 1: a name of `baselines.BOTTLENECKS`.
        build: stage 2: callable (denoiser arguments, autoencoder) -> a baseline model, None for the
            Bernoulli diffusion.
        options: of `autoencoder_with` in stage 1, of `BinaryLatentDiffusion` and its schedule in
            stage 2.
        paper: what the paper printed, as text.
        same_as: name of a row of another table that is the same model: trained once.
    """

    name: str
    bottleneck: str = "bernoulli"
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

        return getattr(baselines, prior)(BernoulliDenoiser(**sizes), autoencoder)

    return build


# Stage 1: every bottleneck that there is, the paper's own first.
_PAPER_ON_BOTTLENECKS = {
    "vector_quantized": "PSNR 20.08, SSIM 0.62 (16x16, 1024 vectors)",
    "real_valued": "PSNR 24.08, SSIM 0.70 (16x16x16 numbers)",
}
TABLE_4 = (
    Row("binary", paper="PSNR 24.02, SSIM 0.75 (16x16x32)"),
    Row("binary_sharpness_5", options={"sharpness": 5.0}),
    Row("binary_reinmax", options={"bit_gradient": "reinmax"}),
    Row("binary_sharpness_5_reinmax", options={"sharpness": 5.0, "bit_gradient": "reinmax"}),
    *(
        Row(name, name, paper=_PAPER_ON_BOTTLENECKS.get(name, ""))
        for name in baselines.BOTTLENECKS
        if name != "bernoulli"
    ),
)

# First in every table of stage 2: the shared autoencoder on real codes, as from a perfect prior.
RECONSTRUCTIONS = Row("reconstructions")

TABLE_5 = (
    Row("binary_diffusion", paper="Churches FID 4.36 (64 steps)"),
    Row("binary_diffusion_extrinsic", options={"target": "extrinsic"}, same_as="target_extrinsic"),
    Row(
        "absorbing_diffusion",
        build=_on_denoiser("AbsorbingDiffusion"),
        paper="Churches FID 5.44 (256 steps)",
    ),
    Row("autoregressive", build=_autoregressive, paper="Churches FID 7.25 (256 steps)"),
    Row("masked_bits", build=_on_denoiser("MaskedBitPrior")),
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
    Row("learned", options={"schedule": "learned"}),
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
