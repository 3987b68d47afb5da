"""Binary Latent Diffusion (Wang et al., CVPR 2023) for Keras 3."""

__version__ = "0.1.0"
