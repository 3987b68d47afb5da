"""Which keys the attention of OpenVINO's denoiser sees, as a bias of its scores."""

import numpy as np

_HIDDEN = -1e9  # added to the score of a key that is not to be seen


def key_bias(present, num_tokens, text_length=None):
    """The input `key_bias` of `denoiser_graph`.

    Args:
        present: booleans (batch, 1, 1, 1): whether a sample has its condition.
        num_tokens: tokens of a code.
        text_length: tokens of the text, of a model with cross-attention.

    Returns:
        float32 array (batch, 1, 1, keys).
    """
    if text_length is None:
        # The condition token is the last key; a hidden key is a token left out.
        seen = (np.arange(num_tokens + 2) <= num_tokens) | present
    else:
        # The null embedding, key 0, is seen exactly where the text is not.
        seen = np.equal(np.arange(text_length + 1) > 0, present)
    return np.where(seen, np.float32(0.0), np.float32(_HIDDEN))
