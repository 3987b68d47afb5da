"""Generation: what a trained prior over codes is used for."""

import types
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.base.bulk import run_here
from keras_bld.base.progress import followed, progress_bar
from keras_bld.diffusion.generation_store import write_generated_codes
from keras_bld.diffusion.method_options import takes_sampling_options
from keras_bld.diffusion.sampler import guided_logits, run_chain
from keras_bld.diffusion.sampling import plan_sampling


class CodeGeneration:
    """Mixin of `CodePrior`: makes codes and images."""

    autoencoder: Any  # of the model that this is mixed into

    @takes_sampling_options
    def generate(self, num_images: int, labels: Any = None, **options: Any) -> np.ndarray:
        """Make new images (Algorithm 2).

        Args:
            num_images: how many, >= 1.
            labels: for a class-conditional model, one class for each image, or one for all; numbers
                or, where the model has `class_names`, names.
            **options: the options below.

        Returns:
            float32 array in [0, 1] of shape (num_images, height, width, channels).

        Raises:
            ValueError: an argument outside its range, or labels that do not fit the model.
            TypeError: an option that does not exist.
        """
        plan = self._plan_of_images("generate", num_images, labels, **options)
        return self.image_array(plan)

    @takes_sampling_options
    def generate_batches(
        self, num_images: int, labels: Any = None, progress: bool = False, **options: Any
    ) -> Iterator[np.ndarray]:
        """Like `generate`, but an iterator of image batches: constant memory for any number.

        Args:
            num_images: how many.
            labels: as in `generate`.
            progress: show a progress bar; the time between two batches is the caller's.
            **options: the options below.
        """
        # Planned now, so that bad arguments raise here and not at the first `next`.
        plan = self._plan_of_images("generate", num_images, labels, progress=progress, **options)
        batches = self._decoded(plan)
        if not plan.progress:
            return batches
        return followed(batches, "generate", plan.num_images)

    @takes_sampling_options
    def generate_codes(self, num_images: int, labels: Any = None, **options: Any) -> np.ndarray:
        """Make new codes.

        Args:
            num_images: how many.
            labels: as in `generate`.
            **options: the options below.

        Returns:
            float32 array {0, 1} of shape (num_images, h, w, c).

        Raises:
            ValueError: as `generate`.
        """
        return self.code_array(plan_sampling(self, num_images, labels, **options))

    @takes_sampling_options
    def generate_to_store(
        self,
        directory,
        num_images,
        labels=None,
        num_shards=None,
        on_progress=None,
        engine=run_here,
        **options,
    ):
        """Make codes of any number of images straight into a sharded store on disk.

        The store holds bit-packed codes and labels: 2 KB an image at 16 x 16 x 64 bits. After an
        interruption the same call goes on behind the last finished shard, and ends with the very
        same bits. A finished store is returned as it is. Memory grows by the labels alone.

        Args:
            directory: folder of the store.
            num_images: how many.
            labels: as in `generate`.
            num_shards: number of files; by default one for each 512 images, the most that an
                interruption costs.
            on_progress: callable of (images done, images in all), called after each batch.
            engine: of `keras_bld.base.bulk.open_engine`; where the codes are made.
            **options: the options below. `seed` is 0 where none is given, or an interrupted run
                could not go on; `batch_size` may differ between the calls.

        Returns:
            The finished `keras_bld.data.CodeStore`; its method
            `decoded_batches(model.autoencoder.decode)` gives the images, batch by batch.

        Raises:
            ValueError: as `generate`; a folder with codes of another model or other settings.
            ImportError: array_record is not installed.
        """
        options = {"seed": 0, **options}
        return write_generated_codes(
            self, directory, num_images, labels, num_shards, on_progress, options, engine
        )

    def sampler_function(self, sampling, batch_size, return_trajectory=False):
        """The pure sampling function, to be compiled here or exported.

        Args:
            sampling: a `Sampling`.
            batch_size: images of a call.
            return_trajectory: return all states.

        Returns:
            Callable of tensors by name -> codes: `seed`, `first_index`, the traced fields of
            `sampling` (`temperature`, `guidance_scale`) and, where wanted, `condition`, `noise`,
            `known_codes` and `known_mask`, `start_codes` and `indices` (see `plan_sampling`), and
            `condition_present` (see `guided_logits`). Seeds may be one for each image, (batch, 1),
            and so may the traced fields, (batch, 1, 1, 1).
        """
        fixed, traced = sampling.split()
        fixed["time_steps"] = self.time_grid(sampling)
        num_calls = sampling.num_calls(len(fixed["time_steps"]))

        def sample(
            seed,
            first_index,
            condition=None,
            noise=None,
            known_codes=None,
            known_mask=None,
            start_codes=None,
            indices=None,
            condition_present=None,
            **inputs,
        ):
            settings = types.SimpleNamespace(**{**fixed, **traced, **inputs})
            if indices is None:
                indices = first_index + ops.arange(batch_size, dtype="int32")

            def draw(number):
                if noise is not None:
                    return ops.take(noise, number, axis=0)
                return bld_random.uniforms(seed, indices, number, self.code_shape)

            logits_of = guided_logits(
                self.denoiser, settings.guidance_scale, condition, condition_present
            )
            known = None if known_codes is None else (known_codes, known_mask)
            step = self.make_step(settings, logits_of, draw, known)
            start = self.start(draw, batch_size) if start_codes is None else start_codes
            return run_chain(step, start, num_calls, return_trajectory)

        return sample

    def compiled_sampler(self, sampling, batch_size, return_trajectory=False):
        """The compiled `sampler_function`, made once, or the inference engine's."""
        if self._inference_engine is not None:
            return self._inference_engine.sampler(sampling, batch_size, return_trajectory)
        key = (tuple(sampling.split()[0].values()), batch_size, return_trajectory)
        return self.compiled_once(
            key, lambda: self.sampler_function(sampling, batch_size, return_trajectory)
        )

    def compiled_once(self, key, make):
        """The compiled function `make()` under a name; made once for what `sampler_constants` are.

        Args:
            key: hashable.
            make: callable that returns a function for `compile_function`; it reads the denoiser.
        """
        constants = self.sampler_constants()
        if constants != self._compiled_with:
            self._traces_before = self._traces_of_compiled()
            self._compiled_samplers.clear()
            self._compiled_with = constants
        if key not in self._compiled_samplers:
            self._compiled_samplers[key] = compile_function(make(), lambda: self.denoiser.variables)
        return self._compiled_samplers[key]

    @property
    def num_traces(self):
        """How many times sampling was traced (TensorFlow, JAX) since the model was made."""
        return self._traces_of_compiled() + getattr(self._inference_engine, "num_traces", 0)

    def _traces_of_compiled(self):
        traces = sum(function.num_traces for function in self._compiled_samplers.values())
        return self._traces_before + traces

    def code_batches(self, plan, start=0, stop=None):
        """Yield the codes of images start ... stop - 1 of a `SamplingPlan`, batch by batch.

        Code i depends on the plan and on i alone; the last batch is filled up and cut.

        Yields:
            float32 {0, 1} of shape (batch, h, w, c); (num_steps + 1, batch, h, w, c) where the plan
            returns trajectories.
        """
        sampler = self.compiled_sampler(plan.sampling, plan.batch_size, plan.return_trajectory)
        stop = plan.num_images if stop is None else stop
        traced = {name: np.float32(value) for name, value in plan.sampling.split()[1].items()}
        for first in range(start, stop, plan.batch_size):
            rows = np.minimum(np.arange(first, first + plan.batch_size), stop - 1)
            inputs = {
                name: np.take(array, rows, axis=axis) for name, (array, axis) in plan.inputs.items()
            }
            codes = sampler(
                seed=np.int32(plan.seed), first_index=np.int32(first), **traced, **inputs
            )
            count = min(plan.batch_size, stop - first)
            codes = ops.convert_to_numpy(codes)
            yield codes[:, :count] if plan.return_trajectory else codes[:count]

    def predict(self, *arguments, **options):
        """Refused: what `fit` predicts are logits of flips, which are no images."""
        raise checks.error(
            "predict",
            f"a call of {type(self).__name__}.predict",
            "one of the methods that return images or codes",
            "call generate(num_images) for new images, autoencoder.reconstruct(images) for"
            " reconstructions, or model(images) for the logits of training",
        )

    predict_on_batch = predict

    def code_array(self, plan):
        """The codes of all images of a `SamplingPlan`; below a progress bar if they take long."""
        axis = 1 if plan.return_trajectory else 0
        batches = self.code_batches(plan)
        batches = followed(batches, plan.purpose, plan.num_images, plan.progress, axis)
        return np.concatenate(list(batches), axis=axis)

    def image_array(self, plan):
        """The images of a `SamplingPlan`; below a progress bar if they take long."""
        batches = followed(self._decoded(plan), plan.purpose, plan.num_images, plan.progress)
        return np.concatenate(list(batches))

    def _decoded(self, plan):
        return (self._decode_with(plan.decoder, codes) for codes in self.code_batches(plan))

    def _decode_with(self, decoder, codes):
        """Images of codes by the autoencoder's decoder "full" or "small"."""
        # An autoencoder of one's own may know no other decoder than its own.
        options = {} if decoder == "full" else {"decoder": decoder}
        return self.autoencoder.decode(codes, **options)

    def _plan_of_images(self, purpose, *arguments, **options):
        self._need_autoencoder(purpose)
        return plan_sampling(self, *arguments, **options)

    def _need_autoencoder(self, purpose):
        if self.autoencoder is None:
            raise checks.error(
                "autoencoder",
                f"{purpose} on a model without an autoencoder",
                "a model with one",
                "pass autoencoder=... when building the model, or call generate_codes",
            )

    def compile_for_inference(self, target="openvino", precision="bfloat16", progress=True):
        """Sample on a faster path of the processor: same calls, arguments, seeds and noise.

        `generate`, `generate_batches`, `generate_codes` and `inpaint` take it, and the
        autoencoder's `encode` and `decode` of arrays (see its own `compile_for_inference`).
        Codes differ from the plain path's where rounding moves a probability across its noise:
        docs/inference.md says how often. The weights are compiled in. Weights that change
        afterwards are noticed at the next call and compiled again. Training, `likelihood` and
        `export` stay on the backend's own path.

        Args:
            target: "openvino", or None to go back to the plain path.
            precision: "bfloat16" (probabilities and posterior are float32), or "float32".
            progress: show that it works, once it takes over 2 seconds.

        Returns:
            Whether the fast path is on, for the denoiser and for the autoencoder, if there is
            one. Where OpenVINO is not installed or cannot run a part, a warning says so and the
            plain path stays for it.

        Raises:
            ValueError: an unknown target or precision.
        """
        from keras_bld.serving.inference import inference_engine

        with progress_bar("compile for inference", None, progress):
            self._inference_engine = inference_engine(self, target, precision)
            fast = self._inference_engine is not None
            if hasattr(self.autoencoder, "compile_for_inference"):
                fast = self.autoencoder.compile_for_inference(target, precision) and fast
        return fast
