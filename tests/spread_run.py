"""A program that tests start: tiny models of both stages, spread as its arguments say.

    python spread_run.py WORK_DIR MODE [SETTING=VALUE ...]

Of each stage history.csv has the losses of every step. `start` sets in the environment how many
devices there are and which process it is.
"""

import json
import os
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).resolve()
ROOT = PROGRAM.parents[1]
NUM_STEPS = 20


def start(backend, folder, mode, num_devices=1, process=None, ports=(), **settings):
    """Start the program; one of several processes where `ports` has one for each."""
    words = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    return start_program([PROGRAM, folder, mode, *words], backend, num_devices, process, ports)


def start_program(words, backend, num_devices=1, process=None, ports=()):
    """Start a program of Python with these words, otherwise as `start`."""
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    addresses = [f"localhost:{port}" for port in ports]
    variables = {
        **{name: value for name, value in os.environ.items() if name != "TF_CONFIG"},
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": quick,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_NUM_CPU_DEVICES": str(num_devices),
        "KERAS_BLD_CPU_DEVICES": str(num_devices),
        "NPROC": "8",  # threads of XLA: devices wait for each other in them
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
    }
    if ports and backend == "jax":
        variables |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(addresses),
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(ports)),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
        }
    elif ports:
        task = {"type": "worker", "index": process}
        variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def main(work_dir, mode, *words):
    import keras
    import numpy as np

    from keras_bld.autoencoder import BinaryAutoencoder, PatchCritic
    from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
    from keras_bld.training.distribution import open_distribution
    from keras_bld.training.fitting import fit_recipe, make_optimizer

    settings = {"num_steps": NUM_STEPS, "batch_size": 8, "stages": ["autoencoder", "diffusion"]}
    settings |= {word.split("=")[0]: json.loads(word.split("=", 1)[1]) for word in words}
    batch_size = settings["batch_size"]
    distribution = open_distribution(mode)
    distribution.check_batch("batch_size", batch_size)
    rows = distribution.own_rows(batch_size)

    def autoencoder():
        # The smallest that has all: a critic that joins late, balanced gradients, augmentation.
        return BinaryAutoencoder(
            (8, 8, 1), 4, base_width=4, width_multipliers=(1, 2), num_blocks=1, num_groups=2,
            attention_resolutions=(), embedding_width=4, critic_start_step=4,
            critic=PatchCritic(base_width=4, num_layers=1),
        )  # fmt: skip

    def diffusion():
        denoiser = BernoulliDenoiser((2, 2, 4), 1, 8, 2, num_training_steps=4, num_classes=2)
        return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4, "learned"))

    def batches(stage, start):
        while True:
            random = np.random.default_rng([0, start])
            labels = random.integers(0, 2, batch_size)
            images = (
                random.random((batch_size, 8, 8, 1), "float32")
                * (1 + labels.reshape(-1, 1, 1, 1))
                / 2
            )
            codes = (
                random.random((batch_size, 2, 2, 4)) < (1 + labels.reshape(-1, 1, 1, 1)) / 3
            ) * 1.0
            batch = (images,) if stage == "autoencoder" else (codes.astype("float32"), labels)
            batch = batch if rows is None else tuple(part[rows] for part in batch)
            yield batch if len(batch) > 1 else batch[0]
            start += 1

    for stage, build in (("autoencoder", autoencoder), ("diffusion", diffusion)):
        if stage not in settings["stages"]:
            continue
        keras.utils.set_random_seed(0)
        with distribution.scope():
            model = build()
            model.compile(make_optimizer(2e-3, 2, NUM_STEPS, "cosine", 0.999, 0.9))
            fit_recipe(
                model, lambda start, stage=stage: batches(stage, start), f"{work_dir}/{stage}",
                settings["num_steps"], 1, verbose=0,
            )  # fmt: skip
        model = distribution.on_one_device(model)
        if distribution.is_chief:
            model.save_weights(f"{work_dir}/{stage}/final.weights.h5")
        distribution.wait()
    distribution.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
