"""The tests mirror the library: a module of a room has its tests in a file of its own."""

import ast

import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.once
MAX_LINES = 450
# Parts of another module, and the tests through which they are seen.
ELSEWHERE = {
    "ablations/command.py": "ablations/test_study.py",
    "ablations/experiments.py": "ablations/test_tables.py",
    "ablations/settings.py": "ablations/test_study.py",
    "autoencoder/arguments.py": "autoencoder/test_code_autoencoder.py",
    "autoencoder/decoders.py": "autoencoder/test_small_decoder.py",
    "base/backend/jax_backend.py": "base/test_backend.py",
    "base/backend/tensorflow_backend.py": "base/test_backend.py",
    "base/backend/torch_backend.py": "base/test_backend.py",
    "base/backend/trainer.py": "base/test_backend.py",
    "base/lazy_names.py": "test_public_names.py",
    "base/fitting/tensorflow_batches.py": "base/fitting/test_datasets.py",
    "base/quiet.py": "base/test_start.py",
    "base/version.py": "test_public_names.py",
    "benchmark/data_section.py": "benchmark/test_command.py",
    "benchmark/layers.py": "benchmark/test_flops.py",
    "benchmark/models.py": "benchmark/test_flops.py",
    "benchmark/settings.py": "benchmark/test_keras_cases.py",
    "benchmark/start_section.py": "benchmark/test_benchmarks.py",
    "benchmark/torch_peer/gemm.py": "benchmark/test_machine_limit.py",
    "benchmark/torch_peer/inference.py": "benchmark/torch_peer/test_cases.py",
    "benchmark/torch_peer/loading.py": "benchmark/torch_peer/test_cases.py",
    "commands/generated.py": "commands/test_generate.py",
    "commands/outputs.py": "commands/test_inpaint.py",
    "commands/picture_files.py": "commands/test_inpaint.py",
    "commands/sampler_options.py": "commands/test_generate.py",
    "commands/tools.py": "commands/test_generate.py",
    "conversion/safetensors_checkpoint.py": "conversion/test_checkpoint.py",
    "data/code_store_writer.py": "data/test_code_store.py",
    "diffusion/conditioning.py": "diffusion/test_code_prior.py",
    "diffusion/generation.py": "diffusion/test_code_prior.py",
    "diffusion/signal_levels.py": "diffusion/test_schedule.py",
    "diffusion/weights.py": "diffusion/test_denoiser.py",
    "diffusion/reverse_step.py": "diffusion/test_sampler.py",
    "evaluation/bulk.py": "evaluation/test_samples.py",
    "evaluation/card_files.py": "evaluation/test_card.py",
    "evaluation/plots.py": "evaluation/test_card.py",
    "metrics/arrays.py": "metrics/test_frechet.py",
    "presets/fields.py": "fuzz/test_damaged_files.py",
    "presets/methods.py": "presets/test_store.py",
    "presets/reading.py": "presets/test_store.py",
    "serving/key_bias.py": "serving/test_openvino_denoiser.py",
    "serving/clean_process.py": "serving/test_verification.py",
    "serving/graph_writer.py": "serving/test_export.py",
    "serving/tensorflow_to_litert.py": "serving/test_formats.py",
    "serving/tensorflow_to_onnx.py": "serving/test_formats.py",
    "serving/openvino_codec.py": "serving/test_openvino_autoencoder.py",
    "serving/tensorflow_to_openvino.py": "serving/test_formats.py",
    "serving/openvino_graph.py": "serving/test_openvino_denoiser.py",
    "serving/service/logs.py": "serving/service/test_server.py",
    "serving/service/metrics.py": "serving/service/test_app.py",
    "serving/service/worker.py": "serving/service/test_server.py",
    "serving/tensorflow_graphs.py": "serving/test_tensorflow_saved_model.py",
    "training/metadata.py": "training/test_runner.py",
    "training/made_data.py": "recipes/test_recipes.py",
    "training/pictures.py": "training/test_runner.py",
    "training/tensorflow_strategies.py": "training/test_distribution.py",
    "training/work_folder.py": "training/test_runner.py",
    "zoo/catalogue.py": "zoo/test_listing.py",
}


def python_files(*folders):
    listed = [path for folder in folders for path in (PROJECT_ROOT / folder).rglob("*.py")]
    assert listed
    return sorted(path.relative_to(PROJECT_ROOT) for path in listed)


def has_code(path):
    """Whether a module defines something: a function, a class or a value."""
    nodes = ast.parse((PROJECT_ROOT / path).read_text()).body
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign) for node in nodes)


def test_no_file_is_too_long():
    lengths = {
        str(path): len((PROJECT_ROOT / path).read_text().splitlines())
        for path in python_files("keras_bld", "recipes", "tests")
    }
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_has_its_tests():
    untested = {
        module
        for path in python_files("keras_bld")
        for module in [path.relative_to("keras_bld")]
        if not path.name.startswith("__") and has_code(path)
        if not (PROJECT_ROOT / "tests" / module.parent / f"test_{module.name}").is_file()
    }
    assert sorted(map(str, untested)) == sorted(ELSEWHERE)
    assert [
        test for test in ELSEWHERE.values() if not (PROJECT_ROOT / "tests" / test).exists()
    ] == []
