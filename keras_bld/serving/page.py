"""The page, without a browser: from the settings on it to pictures and lines to copy."""

import dataclasses
import math
import pathlib
import shlex
import zlib

import numpy as np

from keras_bld.autoencoder import with_decoder
from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.packing import pack_codes, unpack_codes
from keras_bld.base.pictures import image_grid
from keras_bld.base.random import resolve_seed
from keras_bld.data.images import UnreadableImageError
from keras_bld.data.preprocessing import ImagePreprocessing
from keras_bld.metrics import NeighborSearch, psnr
from keras_bld.serving.page_pictures import (
    ORANGE,
    bit_planes,
    captioned,
    enlarged,
    painted_pixels,
    to_rgb,
)
from keras_bld.text.label_conditions import condition_cycle
from keras_bld.text.wordings import first_texts

MOST_IMAGES = 64
MOST_UPLOADS = 8
MOST_RESULTS = 8
_MOST_COLUMNS = 5  # a telephone shows no more
_PICTURE_WIDTH = 640  # pixels
_NUM_FRAMES = 10
_FRAMES_IN_A_ROW = 5
_NUM_SEARCHED = 4
_NUM_NEIGHBORS = 5
_CODES_READ_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class PageSettings:
    """What stands in the fields of the page.

    Args:
        num_images: how many images `generate` makes.
        num_steps: denoising steps.
        temperature: of sampling.
        guidance_scale: of sampling.
        seed: integer in [0, 2**31).
        classes: by name or number, taken in turn; none for all of them.
        prompts: texts, taken in turn; none for one of each class that the model knows.

    Raises:
        ValueError: a number is missing, or too many images.
    """

    num_images: int
    num_steps: int
    temperature: float
    guidance_scale: float
    seed: int = 0
    classes: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("num_images", "num_steps", "temperature", "guidance_scale", "seed"):
            if getattr(self, name) is None:
                raise checks.error(name, "nothing", "a number", "fill the field")
        checks.check_integer("num_images", self.num_images, 1, MOST_IMAGES)


class Page:
    """What the page shows for its settings; each method is what one button does.

    Args:
        model: a `BinaryLatentDiffusion` with its autoencoder.
        preset: the name or directory that the model came from, as lines to copy have it.
        metadata: of the preset: class names, text encoder, wordings.
        store: None, or the `CodeStore` of training images of this autoencoder, in which `nearest`
            looks.
        decoder: "full", or "small" for a model that has a small one.

    Attributes:
        defaults: `PageSettings`: the model's own sampling, and as many images as are quick.
        class_choices: names or numbers of the classes as text; empty without classes.
        takes_text: whether the model is conditioned on text.
        image_shape: (height, width, channels).

    Raises:
        ValueError: a model that makes no images, or has no such decoder.
    """

    def __init__(self, model, preset, metadata=None, store=None, decoder="full"):
        checks.check_makes_images(model, preset)
        self.model, self.preset, self.store = with_decoder(model, decoder), str(preset), store
        self._decoder = decoder
        self._metadata = metadata or {}
        kind, num_classes = model.denoiser.condition_kind, model.denoiser.num_classes
        self.takes_text = kind in ("token", "cross_attention")
        self.class_choices = []
        if kind == "class":
            self.class_choices = list(model.class_names or map(str, range(num_classes)))
        self.image_shape = tuple(model.autoencoder.image_shape)
        num_images = 16 if math.prod(self.image_shape) <= 64 * 64 * 3 else 4
        columns = self._columns(len(self.class_choices), num_images)
        self.defaults = PageSettings(
            num_images=math.ceil(num_images / columns) * columns,  # whole rows
            num_steps=len(model.time_grid(model.sampling)),
            temperature=model.sampling.temperature,
            guidance_scale=model.sampling.guidance_scale,
        )

    @property
    def description(self):
        """The model in one line."""
        height, width, channels = self.model.code_shape
        return (
            f"Images of {self.image_shape[1]} × {self.image_shape[0]} pixels as "
            f"{width} × {height} × {channels} bits; "
            f"{self.model.denoiser.count_params() / 1e6:.1f} M weights in the denoiser; "
            f"T = {self.model.num_training_steps}"
        )

    # Buttons -------------------------------------------------------------------------------

    def generate(self, settings):
        """New images: (a picture, the command that makes the same images).

        Args:
            settings: `PageSettings`, here and below.
        """
        num_images = settings.num_images
        conditions = self._conditions(settings)
        images = self.model.generate(
            num_images,
            **conditions.of(np.arange(num_images)),
            **self._call(settings),
            # One size, so that another number of images compiles nothing.
            batch_size=self.defaults.num_images,
        )
        columns = self._columns(len(conditions), num_images)
        scale = max(1, _PICTURE_WIDTH // (columns * self.image_shape[1]))
        picture = image_grid(images, columns, scale=scale, padding=scale)
        return picture, self._command(settings, columns)

    def watch(self, settings):
        """The first image as it becomes: (a film strip of images and bits, lines of Python).

        Bits are drawn dark where they are 1, and orange where they differ from the frame before.
        """
        conditions = self._conditions(settings).of([0])
        states = self.model.generate_codes(
            1, **conditions, **self._call(settings), return_trajectory=True
        )[:, 0]
        times = [*self._time_steps(settings), 0]
        frames = np.unique(np.linspace(0, len(states) - 1, _NUM_FRAMES).round().astype(int))
        codes = states[frames]
        images = [enlarged(image) for image in self.model.autoencoder.decode(codes)]
        planes = [
            bit_planes(code, before)
            for code, before in zip(codes, [codes[0], *codes[:-1]], strict=True)
        ]
        flips = [f"{int(count)} flips" for count in np.abs(np.diff(codes, axis=0)).sum((1, 2, 3))]
        above, below = [f"t = {times[frame]}" for frame in frames], ["coin flips", *flips]
        cells, captions = [], []
        for start in range(0, len(frames), _FRAMES_IN_A_ROW):
            row = slice(start, start + _FRAMES_IN_A_ROW)
            # The last row may be shorter: its bits stand below its images all the same.
            empty = _FRAMES_IN_A_ROW - len(frames[row]) if start else 0
            blank = [np.full((1, 1, 3), 255, "uint8")] * empty
            cells += [*images[row], *blank, *planes[row], *blank]
            captions += [*above[row], *[""] * empty, *below[row], *[""] * empty]
        columns = min(len(frames), _FRAMES_IN_A_ROW)
        return captioned(cells, columns, captions), self._python(
            f"states = model.generate_codes(1, {self._arguments(settings, 1)}, "
            "return_trajectory=True)",
            "keras_bld.show(model.autoencoder.decode(states[:, 0]))",
        )

    def sample(self, settings):
        """One new image to paint on: (array of the model's size, the line of Python for it)."""
        conditions = self._conditions(settings).of([0])
        images = self.model.generate(1, **conditions, **self._call(settings))
        return images[0], f"images = model.generate(1, {self._arguments(settings, 1)})"

    def upload(self, path):
        """An uploaded image to paint on: (array of the model's size, the line of Python for it)."""
        return self.read(path), f"images = {self._reader}({pathlib.Path(path).name!r})[None]"

    def inpaint(self, settings, image, line, strokes, num_results):
        """What was painted over made anew: (a picture of several results, lines of Python).

        Args:
            settings: its first class or text says what is wanted; without one, anything.
            image: what `sample` or `upload` gave, like `line`.
            line: of Python.
            strokes: array (any height, any width), above 0 where somebody painted; or None.
            num_results: how many.
        """
        mask = painted_pixels(strokes, self.image_shape)
        num_results = checks.check_integer("num_results", num_results, 1, MOST_RESULTS)
        settings, conditions, said = self._wanted(settings)
        results = self.model.inpaint(
            np.asarray(image)[None],
            mask,
            **conditions,
            **self._call(settings),
            num_results=num_results,
        )[0]
        hole = np.where(mask[..., None], ORANGE, to_rgb(image))
        cells = [enlarged(each) for each in [hole, *results]]
        captions = ["painted", *(f"result {number + 1}" for number in range(num_results))]
        bits = zlib.compress(np.packbits(mask).tobytes(), 9).hex()
        return captioned(cells, min(len(cells), 5), captions), self._python(
            line,
            "import numpy as np, zlib",
            f'bits = np.frombuffer(zlib.decompress(bytes.fromhex("{bits}")), "uint8")',
            f"mask = np.unpackbits(bits, count={mask.size}).reshape{mask.shape}",
            f"results = model.inpaint(images, mask, {self._arguments(settings, 1, said)}, "
            f"num_results={num_results})",
            "keras_bld.show(results[0])",
        )

    def reconstruct(self, paths):
        """Uploads through their codes: (a picture with a row for each, lines of Python).

        Args:
            paths: of image files; any size, the largest centred square counts.
        """
        images = self._read_all(paths)
        codes = self.model.autoencoder.encode(images)
        decoded = self.model.autoencoder.decode(codes)
        cells, captions = [], []
        for image, code, result in zip(images, codes, decoded, strict=True):
            cells += [enlarged(image), bit_planes(code), enlarged(result)]
            quality = psnr(image[None], to_uint8(result[None]))
            captions += ["upload", f"{code.size} bits", f"{quality:.1f} dB"]
        return captioned(cells, 3, captions), self._python(
            *self._reading(paths),
            "keras_bld.show(model.autoencoder.reconstruct(images))",
        )

    def interpolate(self, settings, paths):
        """The way from one upload to another: (a picture of frames, lines of Python).

        Args:
            settings: its first class or text says what the frames are; without one, anything.
            paths: of two image files.
        """
        images = self._read_all(paths)
        if len(images) != 2:
            raise checks.error(
                "images", f"{len(images)} image files", "two: from one to the other", "upload two"
            )
        settings, conditions, said = self._wanted(settings)
        frames = self.model.interpolate(
            images[:1],
            images[1:],
            num_frames=_NUM_FRAMES,
            **conditions,
            **self._call(settings),
        )[0]
        captions = [f"{index / (_NUM_FRAMES - 1):.0%}" for index in range(_NUM_FRAMES)]
        picture = captioned([enlarged(frame) for frame in frames], _FRAMES_IN_A_ROW, captions)
        return picture, self._python(
            *self._reading(paths),
            f"frames = model.interpolate(images[:1], images[1:], num_frames={_NUM_FRAMES}, "
            f"{self._arguments(settings, 1, said)})",
            "keras_bld.show(frames[0])",
        )

    def nearest(self, settings):
        """The training codes nearest to the first images: (a picture, lines of Python).

        Each row is a generated image and, by bits that differ, its nearest training codes.
        """
        if self.store is None:
            raise checks.error(
                "store",
                "none",
                "a store with the codes of the training images",
                "write one with `keras-bld encode`, and start the page with --store DIR",
            )
        count = min(_NUM_SEARCHED, settings.num_images)
        conditions = self._conditions(settings).of(np.arange(count))
        codes = self.model.generate_codes(count, **conditions, **self._call(settings))
        search = NeighborSearch(pack_codes(codes), min(_NUM_NEIGHBORS, len(self.store)), "hamming")
        for start in range(0, len(self.store), _CODES_READ_AT_ONCE):
            stop = min(start + _CODES_READ_AT_ONCE, len(self.store))
            search.add(self.store.read(np.arange(start, stop))[0])
        found, _ = self.store.read(search.indices.ravel())
        found = unpack_codes(found, self.model.code_shape[-1])
        found = found.reshape(count, -1, *self.model.code_shape)
        cells, captions = [], []
        for code, neighbors, distances in zip(codes, found, search.distances, strict=True):
            images = self.model.autoencoder.decode(np.stack([code, *neighbors]))
            cells += [enlarged(image) for image in images]
            captions += ["generated", *(f"{distance} bits" for distance in distances)]
        return captioned(cells, 1 + found.shape[1], captions), self._python(
            "from keras_bld.data import CodeStore, pack_codes",
            f"store = CodeStore({str(self.store.path)!r})",
            f"codes = model.generate_codes({count}, {self._arguments(settings, count)})",
            "packed, _ = store.read(range(len(store)))",
            "indices, bits = keras_bld.metrics.hamming_nearest_neighbors(pack_codes(codes), "
            f"packed, k={found.shape[1]})",
        )

    def read(self, path):
        """An uploaded image file as uint8 of the model's size.

        Raises:
            ValueError: it cannot be read; the message says why.
        """
        height, width, channels = self.image_shape
        if height != width:
            raise checks.error(
                "image",
                f"an upload for a model of {width} x {height} pixels",
                "a model of square images",
                "use model.autoencoder in Python",
            )
        path = pathlib.Path(path)
        try:
            return ImagePreprocessing(height, channels)(path)
        except UnreadableImageError as error:
            # Where this machine keeps uploads says nothing to whoever sent one.
            reason = checks.reason_of(error.__cause__).replace(str(path), path.name)
            raise checks.error(
                "image",
                f"{checks.quoted(path.name)}, which cannot be read ({reason})",
                "an image file",
                "upload another one",
            ) from error

    @staticmethod
    def _columns(num_conditions, num_images):
        """A column for each condition, where there are few; otherwise nearly a square."""
        wanted = num_conditions if num_conditions > 1 else math.ceil(math.sqrt(num_images))
        return min(wanted, _MOST_COLUMNS)

    # What the buttons share ----------------------------------------------------------------

    def _conditions(self, settings):
        return condition_cycle(self.model, self._metadata, settings.classes, settings.prompts)

    def _wanted(self, settings):
        """What images that are there already are to become: (settings, conditions, `said`).

        `conditions` are keyword arguments, and `said` is what they are in Python.
        """
        if settings.classes or settings.prompts:
            return settings, self._conditions(settings).of([0]), self._asked(settings, 1)
        if not self.model.is_conditional:
            return settings, {}, []
        # Guidance is towards a condition: without one it is the model's own, which then rests.
        settings = dataclasses.replace(settings, guidance_scale=self.defaults.guidance_scale)
        return settings, {"drop_condition": True}, ["drop_condition=True"]

    def _sampler(self, settings):
        """The sampler settings that are not the model's own."""
        names = ("num_steps", "temperature", "guidance_scale")
        given = {name: getattr(settings, name) for name in names}
        return {
            name: value for name, value in given.items() if value != getattr(self.defaults, name)
        }

    def _call(self, settings):
        """Options of a call, which is to leave the terminal of the server alone."""
        return {**self._options(settings), "progress": False}

    def _options(self, settings):
        return {**self._sampler(settings), "seed": resolve_seed(settings.seed)}

    def _time_steps(self, settings):
        return self.model.time_grid(self.model.sampling.replace(**self._sampler(settings)))

    def _read_all(self, paths):
        paths = list(paths or ())
        if not 1 <= len(paths) <= MOST_UPLOADS:
            raise checks.error(
                "images",
                f"{len(paths)} image files",
                f"1 to {MOST_UPLOADS}",
                "upload a picture" if not paths else "leave some out",
            )
        return np.stack([self.read(path) for path in paths])

    # Lines to copy -------------------------------------------------------------------------

    def _command(self, settings, columns):
        words = ["keras-bld", "generate", self.preset]
        words += ["--num-images", settings.num_images, "--columns", columns]
        for name, values in (("labels", settings.classes), ("prompt", settings.prompts)):
            words += [f"--{name}", *values] if values else []
        for name, value in self._sampler(settings).items():
            words += [f"--{name.replace('_', '-')}", value]
        words += ["--decoder", self._decoder] if self._decoder != "full" else []
        words += ["--seed", settings.seed, "--out", "images.png"]
        return shlex.join(map(str, words))

    def _python(self, *lines):
        if self._decoder != "full":
            chosen = f"model = keras_bld.autoencoder.with_decoder(model, {self._decoder!r})"
            lines = (chosen, *lines)
        return "\n".join(
            (
                "import keras_bld",
                f"model = keras_bld.load_preset({self.preset!r})",
                *lines,
            )
        )

    def _arguments(self, settings, count, said=None):
        """Keyword arguments of the sampling methods, as Python has them.

        `said` is what stands for the condition; by default that of the first `count` images.
        """
        said = self._asked(settings, count) if said is None else said
        options = [f"{name}={value!r}" for name, value in self._options(settings).items()]
        return ", ".join([*said, *options])

    def _asked(self, settings, count):
        if self.class_choices:
            turn = settings.classes or self.class_choices
            return [f"labels={[turn[index % len(turn)] for index in range(count)]!r}"]
        if self.takes_text:
            wordings = self._metadata.get("wordings")
            turn = settings.prompts or (first_texts(wordings) if wordings else [])
            texts = [turn[index % len(turn)] for index in range(count)]
            encoder = f"keras_bld.text.sentence_encoder({self._metadata.get('text_encoder')!r})"
            return [f"text_embeddings={encoder}({texts!r})"]
        return []

    def _reading(self, paths):
        return (
            "import numpy as np",
            f"names = {[pathlib.Path(path).name for path in paths]!r}",
            f"images = np.stack([{self._reader}(name) for name in names])",
        )

    @property
    def _reader(self):
        height, _, channels = self.image_shape
        return f"keras_bld.data.ImagePreprocessing({height}, {channels})"
