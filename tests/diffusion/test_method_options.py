import inspect

import pytest
from small_models import tiny_model


@pytest.mark.once
def test_generate_and_generate_codes_share_their_arguments():
    names = [
        list(inspect.signature(getattr(tiny_model(), name)).parameters)
        for name in ("generate", "generate_codes")
    ]
    assert set(names[1]) - set(names[0]) == {"noise", "return_trajectory"}
    assert {"num_steps", "temperature", "seed", "labels"} <= set(names[0])
    assert "temperature: > 0; lower means less diverse" in tiny_model().generate.__doc__
