import pytest

from keras_bld.serving.service.settings import ServiceSettings

pytestmark = pytest.mark.on_tensorflow


def test_limits_that_make_no_sense_are_refused():
    assert ServiceSettings(max_count=2, max_image_bytes=3072).max_body_bytes == 65536 + 3 * 4104
    for wrong in ({"max_queue": 15}, {"timeout": 0}, {"max_batch": 1}, {"max_steps": 0}):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"Invalid `{name}`"):
            ServiceSettings(**wrong)
