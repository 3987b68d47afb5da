"""A recipe: everything that a run depends on, as one frozen dataclass."""

import dataclasses
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from keras_bld.base.fitting.checkpoints import CheckpointPolicy
from keras_bld.base.runs import command_line, recipe_program
from keras_bld.baselines import BOTTLENECKS
from keras_bld.data import DataSet
from keras_bld.data.shifts import Shifts
from keras_bld.data.splits import FOLDER, TFDS_PREFIX
from keras_bld.diffusion.sampling import Sampling
from keras_bld.diffusion.signal_levels import SCHEDULES
from keras_bld.diffusion.targets import TARGETS
from keras_bld.training.recipe_checks import check_recipe

DISTRIBUTIONS = ("none", "data_parallel", "model_parallel", "mirrored", "multi_worker")
if TYPE_CHECKING:  # as in diffusion/sampling.py
    _Bottleneck = str
    _Distribution = str
    _Schedule = str
    _Target = str
else:
    _Bottleneck, _Schedule, _Target = Literal[*BOTTLENECKS], Literal[*SCHEDULES], Literal[*TARGETS]
    _Distribution = Literal[*DISTRIBUTIONS]
TRAINED = ("autoencoder", "diffusion")
STAGES = (*TRAINED, "sample", "evaluate")
SETTINGS_FILE = "recipe.json"  # of the run in a work directory
_SMOKE_CELLS = 8
# Of checkpoints: they change nothing of what is trained.
_CHECKPOINT_FIELDS = ("keep_checkpoints", "keep_checkpoint_every", "checkpoint_minutes")
_NOT_IN_COMMAND = ("stage", "work_dir", "dry_run", "distribution", *_CHECKPOINT_FIELDS)


@dataclass(frozen=True)
class Recipe:
    """Settings of both stages, with the paper's values as defaults (appendix B).

    A recipe file subclasses this and overrides what differs. Its images are those of `data_name`,
    or of the folder `data_dir`; `data_set` and `source` say otherwise. Every field can be set on
    the command line.
    """

    # What to run
    stage: Literal["all", "autoencoder", "diffusion", "sample", "evaluate"] = "all"
    """Which stage; what is finished in the work directory is not done again."""
    data_dir: str | None = None
    """Where the data set lies, where it is not bundled."""
    work_dir: str | None = None
    """Where everything goes; runs/NAME by default."""
    smoke: bool = False
    """Shrink models and steps so that the whole recipe runs in seconds."""
    dry_run: bool = False
    """Print the resolved settings, model sizes, steps and estimated memory, and stop."""
    seed: int = 0
    """Seed of initial weights, data order, training noise and samples."""
    distribution: _Distribution = "none"
    """Several devices or machines (docs/gpus.md): data_parallel and model_parallel with JAX,
    mirrored and multi_worker with TensorFlow. Batch, learning rate and logs are those of all."""
    mixed_precision: bool = False
    """Run the networks in bfloat16; probabilities and losses stay float32."""

    # Data
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with files of a folder that cannot be read; skip leaves them out, and lists them
    in the work directory."""
    image_size: int = 256
    """Height and width in pixels."""
    image_channels: int = 3
    """3 for RGB, 1 for gray."""
    random_flip: bool = True
    """Mirror training images at random."""
    class_conditional: bool = False
    """Train the diffusion on the classes of the data set."""

    # Stage 1: autoencoder
    bottleneck: _Bottleneck = "bernoulli"
    """What stands between encoder and decoder: the paper's Bernoulli bits, or a baseline."""
    code_channels: int = 32
    """Bits in each cell of the code; of vector_quantized and finite_scalar the most."""
    sharpness: float = 1.0
    """Factor of the logits of the paper's bits, whose own is 1; 5 learns faster at first."""
    bit_gradient: Literal["straight_through", "reinmax"] = "straight_through"
    """How the gradient passes the paper's bits: copied, or by reinmax, which decides them."""
    base_width: int = 128
    """Channels at full resolution."""
    width_multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    """Channels of each level as multiples of base_width; each level after the first halves the
    resolution."""
    num_blocks: int = 2
    """Residual blocks in each level."""
    attention_resolutions: tuple[int, ...] = (16,)
    """Resolutions with self-attention."""
    embedding_width: int = 256
    """Channels between encoder, bits and decoder."""
    num_groups: int = 32
    """Groups of the normalisation; must divide every width."""
    reconstruction: Literal["mse", "l1"] = "mse"
    """Pixel loss; the paper says mse, the released code used l1."""
    perceptual: Literal["lpips", "efficientnet_lite", "none"] = "lpips"
    """Perceptual loss; lpips fetches VGG16 weights once, efficientnet_lite works offline."""
    perceptual_weight: float = 1.0
    """Weight of the perceptual loss."""
    adversarial_weight: float = 1.0
    """Weight of the adversarial loss; 0 trains without a critic."""
    critic_start_step: int = 30_000
    """Step at which the critic and the adversarial loss begin (released code: 30,001; paper:
    not stated)."""
    adaptive_weight: Literal["image", "last_layer", "none"] = "image"
    """Where gradient norms are balanced; last_layer is the published form."""
    autoencoder_steps: int = 500_000
    """Training steps of stage 1."""
    autoencoder_batch_size: int = 8
    """Images in a batch of stage 1."""
    autoencoder_crop_size: int = 0
    """Side in pixels of the random crops that stage 1 trains on, faster by the ratio of areas; 0
    trains on whole images."""
    autoencoder_augmentation: Literal["none", "color_jitter"] = "none"
    """Random changes of the images that stage 1 trains on; color_jitter changes their colours with
    keras_cv (`keras_bld.data.ColorJitter`). Stage 2 learns the codes of unchanged images."""
    autoencoder_learning_rate: float = 5e-4
    """Peak learning rate of stage 1."""
    autoencoder_warmup_steps: int = 10_000
    """Linear warm-up of stage 1."""
    autoencoder_ema_momentum: float = 0.0
    """Momentum of the moving average of weights in stage 1; 0 keeps none."""
    autoencoder_preset: str | None = None
    """Name or directory of a preset whose autoencoder is taken as it is; stage 1 trains nothing.
    Smoke runs train their own."""

    # Stage 2: diffusion
    depth: int = 24
    """Transformer blocks."""
    width: int = 512
    """Channels of a token."""
    num_heads: int = 8
    """Attention heads."""
    patch_size: int = 1
    """Cells of a token in each direction; 2 makes a quarter of the tokens."""
    dropout: float = 0.0
    """Share of the channels of each branch of a block that training leaves out; 0.1 or more where
    the data are few."""
    num_training_steps: int = 64
    """T, diffusion steps of training."""
    schedule: _Schedule = "linear"
    """Noise schedule; learned begins as linear and follows the bound (docs/equations.md)."""
    target: _Target = "residual"
    """What the denoiser predicts; extrinsic learns faster (docs/equations.md)."""
    vlb_weight: float = 0.1
    """Lambda of Eq. 13."""
    label_dropout: float = 0.1
    """Share of samples that train without their class."""
    shift: int = 0
    """Stage 2 trains on every shift of an image by up to so many pixels, with its edges repeated:
    1 makes 9 codes of an image."""
    codes: Literal["store", "on_the_fly"] = "store"
    """store encodes the data set once; on_the_fly draws new bits for every batch (Algorithm 1)."""
    diffusion_steps: int = 2_000_000
    """Training steps of stage 2 (released code; the paper prints 20K)."""
    diffusion_batch_size: int = 32
    """Codes in a batch of stage 2."""
    diffusion_learning_rate: float = 1e-4
    """Peak learning rate of stage 2."""
    diffusion_warmup_steps: int = 10_000
    """Linear warm-up of stage 2."""
    diffusion_ema_momentum: float = 0.9999
    """Momentum of the moving average of weights in stage 2; 0 keeps none."""
    denoiser_preset: str | None = None
    """Name or directory of a preset whose denoiser stage 2 begins with: all weights but those of
    another kind of condition. Smoke runs begin with random weights."""

    # Both stages
    learning_rate_decay: Literal["constant", "cosine"] = "constant"
    """After the warm-up: constant (the paper) or a cosine down to 5 %."""
    adam_beta_2: float = 0.999
    """Second momentum of Adam."""
    steps_per_epoch: int = 1000
    """Steps between two lines of the log, checkpoints and validations."""
    gradient_accumulation_steps: int = 1
    """Parts in which a batch goes through the networks, for less memory: gradients, learning rate
    and averages are those of the whole batch, which it must divide (a critic normalises and is
    balanced with each part)."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints of a stage stay."""
    keep_checkpoint_every: int = 0
    """The checkpoint of every so many epochs stays for good; 0 for none."""
    checkpoint_minutes: float = 15.0
    """A checkpoint is written after so many minutes within an epoch, too; 0 at the ends of epochs
    alone."""

    # Sampling and evaluation
    sampling: Sampling = Sampling(num_steps=16)
    """How the trained model samples; part of its preset."""
    sheet_columns: int = 10
    """Images in a row of the sample sheet."""
    num_evaluation_images: int = 2000
    """Generated images for the evaluation card, and the most real ones in a comparison."""
    evaluation_epochs: int = 20
    """Passes of the card's classifiers: of the domain network over the training images, of those of
    the classification accuracy score over the larger of their two sets."""
    evaluation_network: str | None = None
    """Feature network of the card's distances, as `evaluate --network` names it; by default the
    same as there, but none where neither the extra `perceptual` is installed nor the images have
    classes."""
    export_batch_size: int = 8
    """Batch of the exported SavedModel."""

    name: ClassVar[str] = "recipe"
    # The data set as `keras_bld.data.DataSet` names it.
    data_name: ClassVar[str] = FOLDER
    # Classes of the data set, where they are known without it: for a dry run.
    num_classes: ClassVar[int | None] = None
    # Who made the data set, and its licence; for the metadata of presets.
    data_credit: ClassVar[str | None] = None
    # Name of the encoder of `wordings` (keras_bld.text.SENTENCE_ENCODERS), for `generate --prompt`.
    text_encoder: ClassVar[str | None] = None
    # Fields that a finished or interrupted run may change: they decide what is done, not what
    # the trained models are.
    free_fields: ClassVar[tuple[str, ...]] = (
        "stage",
        "data_dir",
        "work_dir",
        "dry_run",
        "distribution",
        "on_error",
        *_CHECKPOINT_FIELDS,
        "autoencoder_steps",
        "diffusion_steps",
        "sampling",
        "sheet_columns",
        "num_evaluation_images",
        "evaluation_epochs",
        "evaluation_network",
        "export_batch_size",
    )

    # Fields that change what the stages sample and evaluate leave.
    result_fields: ClassVar[tuple[str, ...]] = (
        "sampling",
        "sheet_columns",
        "num_evaluation_images",
        "evaluation_epochs",
        "evaluation_network",
        "export_batch_size",
    )
    # Fields of stage 2 alone: free as long as it has not begun.
    diffusion_fields: ClassVar[tuple[str, ...]] = (
        "class_conditional",
        "depth",
        "width",
        "num_heads",
        "patch_size",
        "dropout",
        "num_training_steps",
        "schedule",
        "target",
        "vlb_weight",
        "label_dropout",
        "shift",
        "codes",
        "diffusion_batch_size",
        "diffusion_learning_rate",
        "diffusion_warmup_steps",
        "diffusion_ema_momentum",
        "denoiser_preset",
    )

    def data_set(self):
        """Return the `DataSet` (`keras_bld.data`) of the recipe.

        Sub-folders of a folder are classes for a class-conditional recipe alone: an unconditional
        one holds out a share of all images, whatever their folders.
        """
        options = {}
        if self.data_name == FOLDER:
            options["class_folders"] = None if self.class_conditional else False
        return DataSet(self.data_name, self.data_dir, on_error=self.on_error, **options)

    def source(self, split):
        """Return the data source of "train" or "held_out" images, by default of `data_set`.

        A subclass that defines its own source trains on what no `DataSet` describes; then
        `evaluate` has to be told what to open.
        """
        return self.data_set().open(split, self.image_shape, work_dir=self.folder)

    def trained_on(self, train, held_out):
        """What the presets remember of the opened sources; None where `source` is a subclass's."""
        own = type(self)
        if own.source is not Recipe.source and own.data_set is Recipe.data_set:
            return None
        return self.data_set().record(train, held_out)

    def diffusion_source(self, source):
        """Return what stage 2 trains on, from the source of the training images.

        By default their shifts (`shift`); a subclass may repeat some images, or leave some out.
        """
        return Shifts(source, self.shift) if self.shift else source

    def wordings(self):
        """Return the `Wordings` (`keras_bld.text`) of the data set's classes.

        None, the default, for a model that is not conditioned on text.
        """
        return None

    def __post_init__(self):
        check_recipe(self)

    @property
    def checkpoint_policy(self):
        """When checkpoints are written, and which of them stay."""
        return CheckpointPolicy(
            self.keep_checkpoints, self.keep_checkpoint_every, self.checkpoint_minutes
        )

    @property
    def may_be_made(self):
        """Whether images may be made where those of TFDS are not here: for a smoke run."""
        is_of_tfds = str(self.data_name).startswith(TFDS_PREFIX)
        has_classes = self.num_classes is not None or not self.class_conditional
        return self.smoke and self.data_dir is None and is_of_tfds and has_classes

    @property
    def image_shape(self):
        """(height, width, channels) of the images."""
        return (self.image_size, self.image_size, self.image_channels)

    @property
    def downsampling_factor(self):
        """f: pixels to a cell of the code, in height and in width."""
        return 2 ** (len(self.width_multipliers) - 1)

    @property
    def code_shape(self):
        """(height, width, bits) of the codes."""
        cells = self.image_size // self.downsampling_factor
        return (cells, cells, BOTTLENECKS[self.bottleneck](self.code_channels).code_channels)

    @property
    def folder(self):
        """The work directory as a path."""
        default = f"runs/{self.name}{'_smoke' if self.smoke else ''}"
        return pathlib.Path(self.work_dir or default)

    @property
    def command(self):
        """The command line that trains this recipe."""
        return command_line(recipe_program(self.name), self, left_out=_NOT_IN_COMMAND)

    def on_crops(self):
        """The recipe as stage 1 trains it, with images of `autoencoder_crop_size`.

        Attention stays on its level, whose resolution shrinks with the image.
        """
        crop = self.autoencoder_crop_size
        if not crop:
            return self
        return dataclasses.replace(
            self,
            image_size=crop,
            autoencoder_crop_size=0,
            attention_resolutions=tuple(
                rows * crop // self.image_size for rows in self.attention_resolutions
            ),
        )

    def shrunk(self):
        """The recipe of a smoke run: the same path through the code, small and short.

        The number of levels stays; images shrink until the code is at most 8 x 8 cells.
        """
        cells = min(self.image_size // self.downsampling_factor, _SMOKE_CELLS)
        factor = self.downsampling_factor
        return dataclasses.replace(
            self,
            image_size=cells * factor,
            autoencoder_crop_size=min(self.autoencoder_crop_size, cells // 2 * factor),
            base_width=8,
            width_multipliers=tuple(min(factor, 2) for factor in self.width_multipliers),
            num_blocks=1,
            num_groups=min(self.num_groups, 4),
            embedding_width=16,
            code_channels=min(self.code_channels, 16),
            autoencoder_preset=None,
            denoiser_preset=None,
            perceptual="none",
            critic_start_step=min(self.critic_start_step, 2),
            autoencoder_steps=6,
            autoencoder_batch_size=min(self.autoencoder_batch_size, 4),
            autoencoder_warmup_steps=2,
            depth=min(self.depth, 2),
            width=min(self.width, 32),
            num_heads=min(self.num_heads, 2),
            num_training_steps=min(self.num_training_steps, 8),
            diffusion_steps=6,
            diffusion_batch_size=min(self.diffusion_batch_size, 8),
            diffusion_warmup_steps=2,
            steps_per_epoch=3,
            sampling=self.sampling.replace(num_steps=min(self.num_training_steps, 4)),
            num_evaluation_images=min(self.num_evaluation_images, 32),
            evaluation_epochs=1,
            export_batch_size=2,
        )
