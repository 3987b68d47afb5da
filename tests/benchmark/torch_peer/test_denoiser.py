import keras
import numpy as np
import pytest
import torch


@pytest.mark.parametrize("with_labels", [False, True])
def test_peer_and_ours_give_the_same_logits(denoisers, codes, with_labels):
    peer, ours = denoisers
    time_steps, labels = np.array([1, 30, 64], "int32"), np.array([2, 0, 1], "int32")
    with torch.no_grad():
        expected = peer(
            torch.from_numpy(codes).flatten(1, 2),
            torch.from_numpy(time_steps),
            torch.from_numpy(labels).long() if with_labels else None,
        ).numpy()
    received = ours.denoiser(codes, time_steps, labels if with_labels else None)
    received = keras.ops.convert_to_numpy(keras.ops.stop_gradient(received))
    assert expected.std() > 0.1
    np.testing.assert_allclose(received.reshape(expected.shape), expected, atol=2e-5)
