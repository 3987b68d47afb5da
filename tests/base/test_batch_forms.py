import pytest

from keras_bld.base.batch_forms import Batch, pack_batch, unpack_batch


@pytest.mark.once
def test_a_dictionary_says_what_x_is():
    assert unpack_batch({"img": 1, "labels": 2, "id": 3}) == Batch(1, 2, None, "images")
    assert unpack_batch({"img": 1, "labels": 2}, takes_labels=False) == Batch(1, kind="images")
    for batch in (
        Batch(1),
        Batch(1, 2),
        Batch(1, 2, 3),
        Batch(1, None, 3),
        Batch(1, None, 3, "codes"),
    ):
        again = unpack_batch(pack_batch(batch))
        assert again == batch
    for wrong in ({"pixel_values": 1}, {"image": 1, "codes": 2}, (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="Invalid `x`: received batches that are a "):
            unpack_batch(wrong)
