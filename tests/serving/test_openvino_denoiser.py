import numpy as np
import pytest
from serving.fast_path import CONDITIONS, TOLERANCE, conditions_of, differing, on_both_paths

pytest.importorskip("openvino")


@pytest.mark.parametrize("kind", list(CONDITIONS))
def test_codes_are_those_of_the_plain_path(make_model, kind):
    model = make_model(kind)
    settings = {"seed": 3, "batch_size": 4}
    condition = conditions_of(kind, 6)
    changes = [{**condition}]
    if kind is not None:
        changes += [{**condition, "guidance_scale": 8.0}, {"drop_condition": True}]

    def made():
        return np.stack([model.generate_codes(6, **settings, **change) for change in changes])

    plain, *fast = on_both_paths(model, made, TOLERANCE)
    for codes, tolerance in zip(fast, TOLERANCE.values(), strict=True):
        assert differing(plain, codes) <= tolerance
    assert set(np.unique(plain)) == {0.0, 1.0}
    for first, second in zip(plain[:-1], plain[1:], strict=True):
        assert differing(first, second) > 0
