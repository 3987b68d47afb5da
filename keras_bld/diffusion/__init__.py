"""Stage 2: the distribution over codes."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.diffusion.denoiser import BernoulliDenoiser
    from keras_bld.diffusion.distillation import distill
    from keras_bld.diffusion.model import BinaryLatentDiffusion
    from keras_bld.diffusion.samples_callback import SamplesCallback
    from keras_bld.diffusion.sampling import Sampling
    from keras_bld.diffusion.schedule import BernoulliNoiseSchedule
    from keras_bld.diffusion.time_grid import TimeGrid, fit_time_grid

__all__ = [
    "BernoulliDenoiser",
    "BernoulliNoiseSchedule",
    "BinaryLatentDiffusion",
    "SamplesCallback",
    "Sampling",
    "TimeGrid",
    "distill",
    "fit_time_grid",
]

__getattr__, __dir__ = lazy_names(__name__)
