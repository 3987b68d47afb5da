"""The peer: the published networks in plain PyTorch, as a careful user would write them.

nn.Linear, scaled_dot_product_attention, an eager loop over the steps, two calls for guidance,
separate backward passes for the adaptive weight and for the critic. Parameters have the
published names, so `keras_bld.conversion` carries a peer's weights into our models; a test
compares the functions.

Files of this folder import torch at the top. The rest of the library imports them inside functions.
"""
