"""Stage 2: the distribution over codes."""

from keras_bld.diffusion.denoiser import BernoulliDenoiser
from keras_bld.diffusion.model import BinaryLatentDiffusion
from keras_bld.diffusion.sampling import Sampling
from keras_bld.diffusion.schedule import BernoulliNoiseSchedule

__all__ = ["BernoulliDenoiser", "BernoulliNoiseSchedule", "BinaryLatentDiffusion", "Sampling"]
