import json

import numpy as np
import pytest

from keras_bld.ablations.experiments import Row
from keras_bld.ablations.settings import Study
from keras_bld.ablations.tables import write_table
from keras_bld.metrics import FeatureNetwork, build_classifier

pytestmark = pytest.mark.once


def test_mean_and_spread_over_seeds(tmp_path):
    network = FeatureNetwork.from_classifier(build_classifier((8, 8, 1), 3, 4), "tiny network")
    found = [
        (Row("binary", paper="4.36"), [{"recall": 0.5}, {"recall": 0.7}]),
        (Row("absorbing_diffusion"), [{"recall": 0.25}, {"recall": 0.25}]),
    ]
    study = Study(data="my photos", seeds=(0, 1))
    write_table(tmp_path, "table5", study, network, found)
    page = (tmp_path / "table5.md").read_text()
    spread = np.std([0.5, 0.7], ddof=1)
    assert f"| binary | 0.6 ± {spread:.2g} | 4.36 |" in page
    assert "| absorbing diffusion | 0.25 ± 0 |  |" in page and "tiny network" in page
    assert "python recipes/ablations.py table5 --data 'my photos' --seeds 0 1\n" in page


def test_without_a_network_none_is_named(tmp_path):
    write_table(tmp_path, "table4", Study(), None, [(Row("binary"), [{"psnr": 20.0}])])
    page = (tmp_path / "table4.md").read_text()
    assert "| binary | 20 |" in page and "features" not in page
    assert "network" not in json.loads((tmp_path / "table4.json").read_text())
