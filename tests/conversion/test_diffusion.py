import keras
import numpy as np
import pytest
import torch
from conversion import plain_torch
from conversion.plain_torch import DenoiserSizes
from diffusion.published import SAMPLER
from harness import shared_file

from keras_bld.base.backend import compile_function
from keras_bld.conversion import convert_diffusion, diffusion_from_published, read_checkpoint
from keras_bld.diffusion import BernoulliNoiseSchedule

LOGIT_TOLERANCE = 2e-4


def reference_of(name):
    with np.load(shared_file("reference/published_small.npz")) as file:
        return {key[len(name) + 1 :]: file[key] for key in file if key.startswith(name + "/")}


def state_of(reference):
    prefix = "state_dict/"
    return {key[len(prefix) :]: reference[key] for key in reference if key.startswith(prefix)}


@pytest.fixture(scope="module", params=["denoiser_uncond", "denoiser_class"])
def published(request, tmp_path_factory):
    """(reference numbers, model); the class-conditional one went through a file."""
    reference = reference_of(request.param)
    state = state_of(reference)
    if request.param == "denoiser_class":
        path = tmp_path_factory.mktemp("published") / "bld_ema_1.th"
        torch.save({name: torch.tensor(array) for name, array in state.items()}, path)
        state = read_checkpoint(path)
    return reference, diffusion_from_published(state, num_heads=4, num_training_steps=16)


def test_published_logits(published):
    reference, model = published
    codes = reference["xt"].reshape(3, 4, 4, 16)
    time_steps = reference["t"].astype("int32")
    condition = reference.get("condition")
    condition = None if condition is None else condition.astype("int32")
    logits = logits_of(model.denoiser, codes, time_steps, condition)
    np.testing.assert_allclose(logits, reference["logits"], atol=LOGIT_TOLERANCE, rtol=0)
    if condition is not None:
        logits = logits_of(model.denoiser, codes, time_steps)
        expected = reference["logits_uncond"]
        np.testing.assert_allclose(logits, expected, atol=LOGIT_TOLERANCE, rtol=0)


def test_published_trajectory(published):
    reference, model = published
    states = model.generate_codes(
        3,
        labels=reference.get("condition"),
        temperature=float(reference["trajectory/temperature"]),
        guidance_scale=float(reference["trajectory/omega"]),
        **SAMPLER,
        noise=reference["trajectory/uniforms"].reshape(17, 3, 4, 4, 16),
        return_trajectory=True,
    )
    np.testing.assert_array_equal(states.reshape(17, 3, 16, 16), reference["trajectory/z_all"])


# Every size differs from those of the file above, and from one another.
CONFIGURATIONS = {
    "no condition": DenoiserSizes(grid=(3, 3), channels=5, depth=3, width=12, num_heads=3),
    "classes, oblong grid": DenoiserSizes(
        grid=(2, 3), depth=2, num_training_steps=5, num_classes=7
    ),
    "text token": DenoiserSizes(channels=6, width=8, num_heads=1, token_width=768),
    "cross-attention": DenoiserSizes(depth=2, num_heads=4, num_training_steps=9, cross_width=10),
}


def condition_of(sizes, generator):
    if sizes.num_classes:
        return generator.integers(0, sizes.num_classes, 2).astype("int32")
    if sizes.token_width:
        return generator.normal(size=(2, sizes.token_width)).astype("float32")
    if sizes.cross_width:
        return generator.normal(size=(2, 3, sizes.cross_width)).astype("float32")
    return None


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_other_configurations(name):
    sizes = CONFIGURATIONS[name]
    state = plain_torch.random_denoiser(sizes)
    code_shape = (*sizes.grid, sizes.channels)
    model, report = convert_diffusion(
        state.arrays(),
        sizes.num_heads,
        sizes.num_training_steps,
        schedule="cos",
        target="z0",
        code_shape=code_shape if sizes.grid[0] != sizes.grid[1] else None,
    )
    assert (model.schedule.kind, model.target, model.code_shape) == ("cos", "z0", code_shape)
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2, (2, *code_shape)).astype("float32")
    time_steps = np.array([1, sizes.num_training_steps], "int32")
    condition = condition_of(sizes, generator)
    given = [condition] if condition is None else [condition, None]
    for condition in given:
        expected = plain_torch.denoise(
            state,
            sizes,
            torch.tensor(codes).flatten(1, 2),
            torch.tensor(time_steps),
            None if condition is None else torch.tensor(condition),
        )
        logits = logits_of(model.denoiser, codes, time_steps, condition)
        np.testing.assert_allclose(logits, expected.numpy(), atol=LOGIT_TOLERANCE, rtol=0)
    # Every variable has its tensor, every tensor its variable.
    assert report.left_over == {}
    assert len(report.placed) == len(model.denoiser.weights) == len(state)
    assert report.num_weights == model.denoiser.count_params()


@pytest.mark.parametrize("name", ["text token", "cross-attention"])
def test_sampling_with_text(name):
    """One thresholded step by hand: bits flip where (1 + w) l_c - w l_u > 0."""
    sizes = CONFIGURATIONS[name]
    state = plain_torch.random_denoiser(sizes)
    model = diffusion_from_published(state.arrays(), sizes.num_heads, sizes.num_training_steps)
    generator = np.random.default_rng(0)
    text = condition_of(sizes, generator)
    noise = generator.uniform(size=(2, 2, *model.code_shape)).astype("float32")
    codes = model.generate_codes(
        2, text_embeddings=text, num_steps=1, guidance_scale=3.0, noise=noise, **SAMPLER
    )
    start = torch.tensor(noise[0] < 0.5).float().flatten(1, 2)
    last = torch.full((2,), sizes.num_training_steps)
    conditional, unconditional = (
        plain_torch.denoise(state, sizes, start, last, condition)
        for condition in (torch.tensor(text), None)
    )
    flips = (4 * conditional - 3 * unconditional).numpy() > 0
    assert 0 < flips.mean() < 1
    np.testing.assert_array_equal(codes.reshape(flips.shape), np.logical_xor(start.numpy(), flips))


@pytest.mark.once
def test_report_names_what_is_left_over_and_why():
    state = random_state(schedule="linear")
    state["embedding_weight"] = np.zeros((3, 4), "float32")
    state["step"] = 960000
    state["comment"] = "trained on churches"
    _, report = convert_diffusion(state, num_heads=2, num_training_steps=8)
    assert report.sizes == {"code_shape": (2, 2, 3), "depth": 1, "width": 16, "condition": "none"}
    schedule = {f"scheduler.{name}" for name in ("k_final", "b_final", "beta", "cumbeta")}
    assert set(report.left_over) == {"embedding_weight", "step", "comment"} | schedule
    assert "ae.quantize.embed.weight" in report.left_over["embedding_weight"]
    assert "'linear', T = 8" in report.left_over["scheduler.beta"]
    assert "str" in report.left_over["comment"]
    head = next(tensor for tensor in report.placed if tensor.name == "_denoise_fn.head.weight")
    assert head.path == "denoiser.head.kernel"
    assert (head.shape, head.layout) == ((3, 16), "oi -> io")


@pytest.mark.once
@pytest.mark.parametrize("kind", ["linear", "cos", "sigmoid"])
def test_stored_schedule_is_recognised(kind):
    reference = shared_schedule(kind, 64)
    state = random_state() | {
        "scheduler.k_final": reference["k"],
        "scheduler.b_final": reference["b"],
        "scheduler.beta": reference["one_minus_beta"],
        "scheduler.cumbeta": np.cumprod(reference["one_minus_beta"]),
    }
    model = diffusion_from_published(state, 2, 64, schedule=kind)
    np.testing.assert_allclose(model.schedule.k, reference["k"], atol=2e-5)
    other = "cos" if kind == "linear" else "linear"
    with pytest.raises(ValueError, match=f"pass schedule='{kind}'"):
        diffusion_from_published(state, 2, 64, schedule=other)


@pytest.mark.once
def test_autoencoder_is_compared_with_the_stored_bit_matrix():
    state = random_state()
    state["embedding_weight"] = np.arange(12, dtype="float32").reshape(3, 4)

    class Autoencoder(keras.Model):
        code_shape, image_shape = (2, 2, 3), (4, 4, 1)

        def __init__(self, matrix):
            super().__init__()
            self.decoder = keras.layers.Layer()
            self.decoder.embedding = keras.Variable(matrix)

    right = Autoencoder(state["embedding_weight"] * 1.0001)  # as rounded by float16
    model, report = convert_diffusion(state, 2, 8, autoencoder=right)
    assert model.autoencoder is right
    assert "equal to that of the autoencoder given" in report.left_over["embedding_weight"]
    for wrong in (state["embedding_weight"] + 1.0, np.zeros((3, 5), "float32")):
        with pytest.raises(ValueError, match="Invalid `autoencoder`.*bit matrix"):
            diffusion_from_published(state, 2, 8, autoencoder=Autoencoder(wrong))


def without(*names):
    return lambda state: {name: array for name, array in state.items() if name not in names}


def changed(name, change):
    return lambda state: state | {name: change(state[name])}


def added(**arrays):
    return lambda state: (
        state | {name.replace("__", "."): np.asarray(array) for name, array in arrays.items()}
    )


BLOCK = "_denoise_fn.blocks.0."


def renumbered(state, number):
    return {name.replace("blocks.0.ln1", f"blocks.{number}.ln1"): x for name, x in state.items()}


REFUSED = {
    "a block of a large number": (
        lambda state: state | renumbered(state, 999_999),
        "without `_denoise_fn.blocks.1.ln1.weight`",
    ),
    "a number that is none": (lambda state: renumbered(state, "²"), "blocks.0.ln1.weight"),
    "a width that no data shows": (
        lambda state: state | {"_denoise_fn.tok_emb.weight": np.zeros((0, 10**9), "float32")},
        "none of them empty",
    ),
    "a width that the rest cannot have": (
        lambda state: state | {"_denoise_fn.tok_emb.weight": np.zeros((3, 10**6), "float32")},
        "a far larger network",
    ),
    "missing tensor": (without(BLOCK + "mlp.2.bias"), "without `_denoise_fn.blocks.0.mlp.2.bias`"),
    "missing start": (without("_denoise_fn.tok_emb.weight"), "`_denoise_fn.tok_emb.weight` among"),
    "missing positions": (without("_denoise_fn.pos_emb"), "without `_denoise_fn.pos_emb`"),
    "no blocks": (
        lambda state: {name: array for name, array in state.items() if "blocks" not in name},
        r"without `_denoise_fn.blocks.0.ln1.weight`.* and \d+ more",
    ),
    "a block left out": (
        lambda state: {name.replace("blocks.0", "blocks.1"): state[name] for name in state},
        "without `_denoise_fn.blocks.0.ln1.weight`",
    ),
    "clash": (
        changed(BLOCK + "attn.qkv.weight", lambda array: array[:-1]),
        r"`_denoise_fn.blocks.0.attn.qkv.weight` of shape \(47, 16\) and not \(48, 16\)",
    ),
    "rank": (changed("_denoise_fn.pos_emb", lambda array: array[0]), "expected 3 dimensions"),
    "NaN": (changed("_denoise_fn.head.bias", lambda array: array * np.nan), "NaN or infinity"),
    "quantised": (
        changed(BLOCK + "mlp.0.weight", lambda array: array.astype("int8")),
        "dtype int8",
    ),
    "unknown": (added(_denoise_fn__start_tok=[0.0]), r"no place for: `_denoise_fn.start_tok`"),
    "two conditions": (
        lambda state: (
            state
            | plain_torch.random_denoiser(DenoiserSizes(cross_width=4)).arrays()
            | {"_denoise_fn.cls_embedding.weight": np.zeros((2, 16), "float32")}
        ),
        "one kind of condition",
    ),
    "optimizer": (lambda state: {"state": {}, "param_groups": []}, "state of an optimizer"),
    "autoencoder": (
        lambda state: {"ae.encoder.blocks.0.weight": np.zeros((32, 3, 3, 3))},
        "call `autoencoder_from_published`",
    ),
    "empty": (lambda state: {}, "0 tensors named none"),
    "two models": (
        lambda state: {f"{name}.{key}": state[key] for key in state for name in "ab"},
        "several models",
    ),
    "wrapped twice": (
        lambda state: state | {f"module.{name}": array for name, array in state.items()},
        "with and without a wrapper",
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("row", REFUSED)
def test_refused(row):
    change, message = REFUSED[row]
    with pytest.raises(ValueError, match="(?s)Invalid `state_dict`.*" + message):
        diffusion_from_published(change(random_state()), num_heads=2, num_training_steps=8)


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_training_steps": 9}, r"`num_training_steps`: received 9; expected T = 8"),
        ({"num_heads": 3}, "`width`"),
        ({"schedule": "cosine"}, "`schedule`"),
        ({"schedule": "cos"}, "pass schedule='linear'"),
        ({"target": "noise"}, "`target`"),
        ({"code_shape": (3, 2, 3)}, r"`code_shape`.*height \* width = 4"),
        ({"code_shape": (2, 2, 4)}, "`code_shape`"),
        ({"code_shape": (4,)}, "`code_shape`"),
    ],
)
def test_refused_arguments(arguments, message):
    arguments = {"num_heads": 2, "num_training_steps": 8} | arguments
    with pytest.raises(ValueError, match=message):
        diffusion_from_published(random_state(schedule="linear"), **arguments)


@pytest.mark.once
def test_refused_types_and_grids():
    with pytest.raises(TypeError, match="received a list"):
        diffusion_from_published([1], num_heads=2, num_training_steps=8)
    oblong = plain_torch.random_denoiser(DenoiserSizes(grid=(2, 3))).arrays()
    with pytest.raises(ValueError, match="the grid is not square"):
        diffusion_from_published(oblong, num_heads=2, num_training_steps=8)


@pytest.mark.once
def test_a_broken_schedule_fits_none():
    state = random_state(schedule="linear")
    state["scheduler.beta"] = state["scheduler.beta"] * np.nan
    with pytest.raises(ValueError, match="none of ours"):
        diffusion_from_published(state, num_heads=2, num_training_steps=8)


@pytest.mark.once
def test_ignore_takes_names_and_patterns():
    state = random_state() | {"_denoise_fn.blocks.0.attn.mask": np.ones((4, 4), "float32")}
    for pattern in ("_denoise_fn.blocks.0.attn.mask", "*.attn.mask"):
        _, report = convert_diffusion(state, 2, 8, ignore=(pattern,))
        assert report.left_over == {"_denoise_fn.blocks.0.attn.mask": "ignored, as asked"}


@pytest.mark.once
def test_half_precision_and_torch_tensors_are_read():
    state = plain_torch.random_denoiser(DenoiserSizes())
    for dtype in (torch.float16, torch.bfloat16):
        half = {name: tensor.to(dtype).requires_grad_() for name, tensor in state.items()}
        model = diffusion_from_published(half, num_heads=2, num_training_steps=8)
        received = keras.ops.convert_to_numpy(model.denoiser.head.kernel)
        expected = half["_denoise_fn.head.weight"].detach().float().numpy().T
        np.testing.assert_array_equal(received, expected)


def random_state(schedule=None):
    state = plain_torch.random_denoiser(DenoiserSizes()).arrays()
    if schedule:
        levels = BernoulliNoiseSchedule(8, schedule)
        state["scheduler.k_final"] = state["scheduler.cumbeta"] = levels.k.astype("float32")
        state["scheduler.b_final"] = levels.b.astype("float32")
        state["scheduler.beta"] = (1 - levels.beta).astype("float32")
    return state


def shared_schedule(kind, num_training_steps):
    return reference_of(f"schedule/{kind}/{num_training_steps}")


def logits_of(denoiser, codes, time_steps, condition=None):
    """Logits (batch, cells, channels), from one compiled call (eager JAX is slow to start)."""
    compiled = compile_function(denoiser, lambda: denoiser.variables)
    inputs = [codes, time_steps] + ([] if condition is None else [condition])
    logits = keras.ops.convert_to_numpy(compiled(*inputs))
    return logits.reshape(len(logits), -1, logits.shape[-1])
