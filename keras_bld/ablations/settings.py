"""The settings of a study, which its command line offers."""

import dataclasses

from keras_bld.base import checks


@dataclasses.dataclass(frozen=True)
class Study:
    """Sizes that all rows of all tables share; the defaults are small enough for two CPU cores."""

    data: str = ""
    """A folder of images with classes, Fashion-MNIST's four files, digits, or tfds:NAME."""
    work_dir: str = "runs/ablations"
    """Where models, codes and tables go; a second table finds the models of the first there."""
    smoke: bool = False
    """Shrink everything so that a table is made in seconds."""
    rows: tuple[str, ...] = ()
    """Names of the rows to make; all of the table by default."""
    seeds: tuple[int, ...] = (0,)
    """One training of every row for each seed; tables show mean and spread."""
    image_size: int = 32
    """Pixels."""
    image_channels: int = 1
    """3 for RGB, 1 for gray."""
    code_channels: int = 32
    """Bits of a cell (the bits of a binary code; the other bottlenecks follow from it)."""
    base_width: int = 24
    """Of encoder and decoder, as all that follows."""
    width_multipliers: tuple[int, ...] = (1, 2, 2, 4)
    """Levels."""
    embedding_width: int = 96
    """Channels between encoder, code and decoder."""
    num_groups: int = 8
    """Groups of the normalisation."""
    autoencoder_steps: int = 1000
    """Training steps of stage 1."""
    autoencoder_batch_size: int = 64
    """Images in a batch."""
    autoencoder_learning_rate: float = 1e-3
    """Peak; cosine decay."""
    depth: int = 4
    """Transformer blocks of every prior."""
    width: int = 128
    """Channels of a token."""
    num_heads: int = 4
    """Attention heads."""
    num_training_steps: int = 64
    """T of the diffusions; figure7 takes 256."""
    diffusion_steps: int = 1500
    """Training steps of stage 2."""
    diffusion_batch_size: int = 128
    """Codes in a batch."""
    diffusion_learning_rate: float = 1e-3
    """Peak; cosine decay."""
    num_steps: int = 16
    """Denoising steps for the tables."""
    temperature: float = 1.0
    """The paper's Figure 7 takes 1."""
    num_images: int = 2000
    """Generated and real images of a comparison."""
    network_epochs: int = 3
    """Of the domain network."""
    steps_per_epoch: int = 250
    """Steps between two checkpoints."""

    def __post_init__(self):
        for field in ("autoencoder_steps", "diffusion_steps"):
            checks.check_steps(field, getattr(self, field), self.steps_per_epoch)

    def shrunk(self):
        """The study of a smoke run."""
        return dataclasses.replace(
            self, autoencoder_steps=4, diffusion_steps=4, steps_per_epoch=2, base_width=8,
            embedding_width=16, num_groups=4, depth=1, width=16, num_heads=2, num_images=24,
            code_channels=8, autoencoder_batch_size=8, diffusion_batch_size=8,
            num_training_steps=min(self.num_training_steps, 8), num_steps=4,
            network_epochs=1,
        )  # fmt: skip
