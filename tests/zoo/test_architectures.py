import json

import pytest
from harness import run_in_new_process, shared_file

from keras_bld import zoo
from keras_bld.zoo.catalogue import CATALOGUE

pytestmark = pytest.mark.once

# Variables are declared and never filled: a model of 300 M weights costs no memory.
COUNT = """
import json, math
import keras
from keras_bld import zoo

def count(model):
    return 0 if model is None else sum(math.prod(weight.shape) for weight in model.weights)

counts = {}
with keras.StatelessScope(initialize_variables=False):
    for row in zoo.CATALOGUE:
        model = zoo.build(row.name)
        autoencoder = getattr(model, "autoencoder", model)
        denoiser = getattr(model, "denoiser", None)
        assert (autoencoder if denoiser is None else denoiser).code_shape == row.code_shape
        counts[row.name] = [count(denoiser), count(autoencoder), count(model)]
print(json.dumps(counts))
"""


def test_every_architecture_has_the_number_of_weights_of_its_row():
    counts = json.loads(run_in_new_process(COUNT, backend="torch").splitlines()[-1])
    expected = {
        row.name: [row.num_denoiser_weights, row.num_autoencoder_weights, row.num_weights]
        for row in CATALOGUE
    }
    assert counts == expected


def test_the_published_counts():
    """The numbers of DESIGN.md, less the shortcut convolutions that are never used."""
    rows = {row.name: row for row in CATALOGUE}
    churches = rows["bld_lsun_churches_256"]
    assert churches.num_denoiser_weights == 76_372_000
    assert churches.num_autoencoder_weights == 65_386_787 - 2_348_928
    assert rows["bld_imagenet_256"].num_denoiser_weights == 172_391_488


def weights_of_denoiser(row):
    """Counted by hand from the paper's description (Section 5, appendix B.1)."""
    width, bits, cells = row.width, row.code_channels, row.code_shape[0] ** 2
    dense = width * width + width
    block = 4 * dense + (2 * 4 * width * width + 5 * width) + 2 * 2 * width + 2 * width
    if row.condition == "cross_attention":
        key_value = 2 * (row.condition_size * width + width)
        block += 2 * dense + key_value + row.condition_size + 2 * width + width
    condition = {"class": row.condition_size, "token": (row.condition_size or 0) + 1}
    embeddings = bits * width + cells * width + 2 * dense
    embeddings += condition.get(row.condition, 0) * width
    return row.depth * block + embeddings + 2 * width + width * bits + bits


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.depth], ids=lambda row: row.name)
def test_the_denoisers_counted_by_hand(row):
    assert row.num_denoiser_weights == weights_of_denoiser(row)


def test_the_metrics_stand_in_the_paper():
    text = shared_file("paper/binary_latent_diffusion.md").read_text()
    table_1 = text[text.index("Table 1. Quantitative") : text.index("Table 2. Quantitative")]
    (bedrooms_churches, faces) = [
        line.split() for line in table_1.splitlines() if line.startswith("Ours\t64")
    ]
    reported = {
        "bld_lsun_bedrooms_256": bedrooms_churches[2:5],
        "bld_lsun_churches_256": bedrooms_churches[5:8],
        "bld_ffhq_256": faces[2:5],
        "bld_celeba_hq_256": faces[5:8],
    }
    rows = {row.name: row for row in CATALOGUE}
    for name, (fid, precision, recall) in reported.items():
        assert rows[name].metric.startswith(f"FID {fid}, P {precision}, R {recall} ")
    table_3 = text[text.index("Table 3. FID comparisons") :]
    (at_64,) = [line.split() for line in table_3.splitlines() if line.startswith("Ours\t64\t6.75")]
    assert rows["bld_ffhq_1024"].metric.startswith(f"FID {at_64[2]} ")
    assert rows["bld_celeba_hq_1024"].metric.startswith(f"FID {at_64[3]} ")


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match="did you mean 'bld_ffhq_256'"):
        zoo.build("bld_ffhq256")
    with pytest.raises(ValueError, match="Invalid `name`.*pass a name listed"):
        zoo.build(3)


@pytest.mark.slow
def test_an_architecture_is_built_for_real_with_its_policy():
    model = zoo.build("bae_laion_256_c64", dtype="mixed_bfloat16")
    assert model.count_params() == 63_054_275
    assert model.encoder.compute_dtype == "bfloat16"
    assert model.code_shape == (16, 16, 64)
