"""Binary Latent Diffusion (Wang et al., CVPR 2023) for Keras 3: the one list of public names.

Each is imported at its first use: `import keras_bld` imports neither Keras nor a backend.
"""

from typing import TYPE_CHECKING

from keras_bld.base import start
from keras_bld.base.lazy_names import lazy_names
from keras_bld.base.version import __version__

if TYPE_CHECKING:
    from keras_bld import (
        autoencoder,
        baselines,
        conversion,
        data,
        diffusion,
        evaluation,
        metrics,
        presets,
        serving,
        text,
        zoo,
    )
    from keras_bld.autoencoder import BernoulliStraightThrough, BinaryAutoencoder
    from keras_bld.base.pictures import image_grid, show
    from keras_bld.base.plots import plot_history
    from keras_bld.diffusion import (
        BernoulliDenoiser,
        BernoulliNoiseSchedule,
        BinaryLatentDiffusion,
        SamplesCallback,
        Sampling,
        distill,
        fit_time_grid,
    )
    from keras_bld.zoo import list_presets, load_preset

__all__ = [
    "BernoulliDenoiser",
    "BernoulliNoiseSchedule",
    "BernoulliStraightThrough",
    "BinaryAutoencoder",
    "BinaryLatentDiffusion",
    "SamplesCallback",
    "Sampling",
    "__version__",
    "autoencoder",
    "baselines",
    "conversion",
    "data",
    "diffusion",
    "distill",
    "evaluation",
    "fit_time_grid",
    "image_grid",
    "list_presets",
    "load_preset",
    "metrics",
    "plot_history",
    "presets",
    "serving",
    "show",
    "text",
    "zoo",
]

__getattr__, __dir__ = lazy_names(__name__)

start.prepare()
