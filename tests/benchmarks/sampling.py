"""What a sampling step costs: denoiser calls, and nothing else.

    KERAS_BACKEND=jax python tests/benchmarks/sampling.py --json -

1. Counts, inside the compiled loop, the denoiser's calls and their batch sizes: 16 more steps are
   16 more calls; guidance makes each of them one call on a doubled batch.
2. Counts traces: another seed, temperature or guidance scale compiles nothing.
3. Times sampling with 16 and 32 steps, with and without guidance, and a denoiser call by itself on
   the same batch and on a doubled one, called in turn. The best of several counts, because other
   work on the machine only ever adds time. `step_over_call` says what a step adds to its call
   (noise, posterior, loop), `seconds_beside_steps` what does not grow with steps.

The model has random weights; its size is that of recipes/fashion_mnist.py.
"""

import collections

import keras
import numpy as np
from reporting import interleaved_seconds, machine, parser, report, summary

import keras_bld
from keras_bld.backend import compile_function

NUM_CLASSES = 10
GUIDANCE_SCALE = 2.0
CALLS = collections.Counter()  # batch size -> number of calls


class CountingDenoiser(keras_bld.BernoulliDenoiser):
    """Counts calls at run time, not at tracing time, by the size of their batch."""

    def call(self, codes, time_steps, condition=None, condition_present=None):
        """Count, then predict."""
        batch = codes.shape[0]
        at_run_time(lambda: CALLS.update([batch]))
        return super().call(codes, time_steps, condition, condition_present)


def at_run_time(function):
    """Call a Python function whenever this point of a compiled program is reached."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.py_function(function, [], [])
    elif backend == "jax":
        import jax

        jax.debug.callback(function)
    else:
        function()


def main():
    """Measure, print."""
    options = parser(__doc__)
    options.add_argument("--depth", type=int, default=6)
    options.add_argument("--width", type=int, default=192)
    options.add_argument("--num-heads", type=int, default=6)
    options.add_argument("--code-shape", type=int, nargs=3, default=(4, 4, 32))
    options.add_argument("--batch-size", type=int, default=32)
    options.add_argument("--num-repeats", type=int, default=5)
    arguments = options.parse_args()
    numbers = machine()
    shape = list(arguments.code_shape)
    sizes = f"{arguments.depth} x {arguments.width} x {arguments.num_heads}"
    numbers |= {"denoiser": sizes, "code_shape": shape, "batch_size": arguments.batch_size}
    numbers["denoiser_calls"] = _count(_model(CountingDenoiser, arguments), arguments.batch_size)
    numbers |= _time(_model(keras_bld.BernoulliDenoiser, arguments), arguments)
    report("Sampling", numbers, arguments.json)


def _model(denoiser_class, arguments):
    denoiser = denoiser_class(
        tuple(arguments.code_shape),
        arguments.depth,
        arguments.width,
        arguments.num_heads,
        64,
        num_classes=NUM_CLASSES,
    )
    return keras_bld.BinaryLatentDiffusion(denoiser, keras_bld.BernoulliNoiseSchedule(64))


def _sample(model, num_steps, batch_size, guidance_scale=0.0, temperature=0.9, seed=0):
    return model.generate_codes(
        batch_size,
        labels=np.arange(batch_size) % NUM_CLASSES,
        num_steps=num_steps,
        guidance_scale=guidance_scale,
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
    )


def _count(model, batch_size):
    """Calls of the denoiser by batch size, for each way of sampling."""
    counted = {}
    for num_steps in (16, 32):
        for name, scale in (("", 0.0), ("_guided", GUIDANCE_SCALE)):
            CALLS.clear()
            _sample(model, num_steps, batch_size, scale)
            _wait()
            calls = sorted(CALLS.items())
            counted[f"{num_steps}_steps{name}"] = [
                f"{count} calls of batch {size}" for size, count in calls
            ]
    return counted


def _wait():
    """JAX hands callbacks to another thread."""
    if keras.config.backend() == "jax":
        import jax

        jax.effects_barrier()


def _time(model, arguments):
    batch_size = arguments.batch_size
    ways = {
        f"{num_steps}_steps{name}": lambda n=num_steps, w=scale: _sample(model, n, batch_size, w)
        for num_steps in (16, 32)
        for name, scale in (("", 0.0), ("_guided", GUIDANCE_SCALE))
    }
    calls = {f"call_of_batch_{size}": _call(model, size) for size in (batch_size, 2 * batch_size)}
    times = interleaved_seconds({**ways, **calls}, arguments.num_repeats)
    seconds = summary(times, min)
    before = model.num_traces
    for seed, scale, temperature in ((1, 0.5, 0.7), (2, 1.5, 1.1), (3, 0.0, 0.9)):
        _sample(model, 16, batch_size, scale, temperature, seed)
    step = (seconds["32_steps"] - seconds["16_steps"]) / 16
    guided_step = (seconds["32_steps_guided"] - seconds["16_steps_guided"]) / 16
    call, doubled_call = (seconds[name] for name in calls)
    return {
        "seconds": seconds,
        "best_of": arguments.num_repeats,
        "seconds_a_step": round(step, 5),
        "seconds_a_guided_step": round(guided_step, 5),
        "step_over_call": round(step / call, 2),
        "guided_step_over_doubled_call": round(guided_step / doubled_call, 2),
        "seconds_beside_steps": round(seconds["16_steps"] - 16 * step, 5),
        "traces_for_new_seed_temperature_guidance": model.num_traces - before,
    }


def _call(model, batch_size):
    """A compiled denoiser call by itself, its result brought back."""
    denoiser = model.denoiser
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2, (batch_size, *model.code_shape)).astype("float32")
    time_steps = np.full(batch_size, 32, "int32")
    labels = (np.arange(batch_size) % NUM_CLASSES).astype("int32")
    compiled = compile_function(lambda *inputs: denoiser(*inputs, None), lambda: denoiser.variables)
    return lambda: keras.ops.convert_to_numpy(compiled(codes, time_steps, labels))


if __name__ == "__main__":
    main()
