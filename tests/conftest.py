"""The state in which every test starts: quiet, seeded, float32, few threads."""

import os
import pathlib
import signal

# What a shell runs in the background ignores Ctrl-C, which tests send themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# These must stand before Keras is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# The tests' arrays are tiny: a thread pool costs more than it brings, and several test runs side
# by side on few cores (one per backend) slow each other down. KERAS_BLD_TEST_THREADS=0 lifts it.
NUM_THREADS = os.environ.get("KERAS_BLD_TEST_THREADS", "1")
if NUM_THREADS != "0":
    for variable in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
    ):
        os.environ.setdefault(variable, NUM_THREADS)
    if NUM_THREADS == "1":
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
# On JAX most of the time is XLA's compiling of programs that run once: it optimises less (half the
# time), and the same program of another test, or of another run of this clone, is read.
if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
    )
    cache = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import hypothesis
import keras
import numpy as np
import pytest

# Derandomised: a test run of the same code gives the same answer, here and in CI.
hypothesis.settings.register_profile(
    "keras_bld",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=20,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For hunting: `pytest --hypothesis-profile=search`.
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("keras_bld")


# Run one of several equal shares of the tests that are left after -m and -k: "2/4" is the second
# of four. CI has no time for all slow tests: the number of commits chooses its share.
SHARE = os.environ.get("KERAS_BLD_TEST_SHARE")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    from harness import share_of

    if SHARE:
        chosen = share_of(items, SHARE)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.fixture(autouse=True)
def _fresh_state():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _fresh_session():
    keras.utils.set_random_seed(0)  # for the fixtures of a file, whatever ran before it
    yield
    # Once a file: it collects garbage, which takes longer than most tests.
    keras.utils.clear_session()


@pytest.fixture
def progress_seen(monkeypatch):
    """What a person in front of a slow computer would see: "what of how many", then the counts."""
    from keras_bld.base import progress

    seen = []

    class Bar:
        def __init__(self, description, total):
            seen.append(f"{description} of {total}")

        def start(self):
            pass

        stop = start

        def update(self, done):
            seen.append(done)

    monkeypatch.setattr(progress, "_kind_of_bar", lambda: Bar)
    return seen


@pytest.fixture
def make_autoencoder():
    """Callable that builds a small `BinaryAutoencoder`."""
    from small_models import small_autoencoder

    return small_autoencoder


@pytest.fixture
def make_diffusion():
    """Callable (autoencoder=None, **denoiser options) that builds a small diffusion."""
    from small_models import small_diffusion

    return small_diffusion


@pytest.fixture(scope="module")
def numpy_initial_weights():
    """Initial weights come from NumPy: the same on every backend, and JAX compiles nothing.

    (XLA takes most of a second for the random numbers of each new shape.)
    """
    generator = np.random.default_rng(0)

    def normal(initializer, shape, dtype=None):
        values = generator.normal(0, 0.2, shape).astype("float32")
        return keras.ops.convert_to_tensor(values, dtype)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("VarianceScaling", "RandomNormal"):
            patch.setattr(getattr(keras.initializers, name), "__call__", normal)
        patch.setattr(keras.random, "normal", lambda shape, **_: normal(None, shape, "float32"))
        yield


@pytest.fixture(scope="module")
def model():
    """The class-conditional model of `small_models.shapes`."""
    from small_models import shapes_model

    return shapes_model()


@pytest.fixture
def data_folder(tmp_path):
    """A folder of `small_models.shapes` with class sub-folders in train/ and val/."""
    from harness import write_class_folders
    from small_models import NUM_CLASSES, shapes

    splits = {"train": shapes(48, 0), "val": shapes(36, 1)}
    class_names = [f"class_{label}" for label in range(NUM_CLASSES)]
    write_class_folders(tmp_path / "data", splits, class_names)
    return tmp_path / "data"


@pytest.fixture
def preset_of_folder(model, data_folder, tmp_path):
    """(directory, metadata) of a preset of `model` in float16, trained on `data_folder` it says."""
    from keras_bld.zoo import save_preset

    metadata = {
        "trained_on": {"name": "folder", "place": str(data_folder), "class_folders": True},
        "licence": "CC0-1.0",
    }
    return save_preset(model, tmp_path / "tiny", metadata, dtype="float16"), metadata


@pytest.fixture
def full_disk():
    """Files of this process can have 20,000 bytes at most."""
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
