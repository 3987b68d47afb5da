"""The sections of the benchmark, one function each: which rows, at which sizes."""

import statistics
from dataclasses import dataclass, field

from keras_bld.base.processor import has_gpu
from keras_bld.benchmark import machine_limit
from keras_bld.benchmark.flops import decoder_flops, denoiser_flops, encoder_flops
from keras_bld.benchmark.layers import AutoencoderSizes
from keras_bld.benchmark.measure import Team, comparison, measured_row, rounded
from keras_bld.benchmark.models import large_model, model_sizes
from keras_bld.benchmark.settings import IN_BFLOAT16, ON_CPU, OURS

_TRAINING = ("keras", "keras_bfloat16", "peer")
# Products of a training step for each of the forward pass: as many for the gradients of the
# activations, and for those of the weights.
_TRAINING_OPERATIONS = 3
# A step's seconds are those of a chain of 4, divided; of 16 on a GPU, where starting a chain and
# reading its codes take as long as a step.
_STEPS_FOR_ONE_STEP, _STEPS_ON_A_GPU = 4, 16


@dataclass
class Benchmark:
    """What to measure, and what was found on the way.

    Attributes:
        model: one of `MODELS`.
        batches: batch sizes asked for; empty takes those of each section.
        num_steps: steps of whole generation.
        num_repeats: timed runs of each path.
        paths: names of paths.
        bfloat16: whether the processor has it; without it `openvino` runs in float32.
        notes: messages and settings that the tables do not hold.
    """

    model: str
    batches: tuple = ()
    num_steps: tuple = (16, 64)
    num_repeats: int = 5
    paths: tuple = ON_CPU
    bfloat16: bool = True
    notes: dict = field(default_factory=dict)

    def team(self, *more, paths=None):
        """A `Team` of the paths asked for (those in `paths`, if given) and `more`."""
        wanted = [path for path in self.paths if paths is None or path in paths]
        return Team([*wanted, *more])

    def row(self, team, name, case, settings, **options):
        """`measured_row` without further jobs."""
        row, _ = measured_row(team, name, case, settings, self.num_repeats, **options)
        return row

    def remember(self, team):
        """Keep a team's failures, settings and peak memory; call it before the team ends."""
        self.notes.setdefault("failures", {}).update(team.failures)
        for path, said in team.describe().items():
            self.notes.setdefault(path, {}).update(said["notes"])

    @property
    def precisions(self):
        """Of the matrix products."""
        return ("float32", "bfloat16") if self.bfloat16 else ("float32",)

    def precision_of(self, path):
        """What a path multiplies in."""
        return "bfloat16" if path in IN_BFLOAT16 and self.bfloat16 else "float32"

    @property
    def denoiser(self):
        """Arguments of the denoiser."""
        return model_sizes(self.model)["denoiser"]

    @property
    def models_and_batches(self):
        """The model with the first batch asked for (8), and one image of 1024 x 1024."""
        return (self.model, (self.batches or (8,))[0]), (large_model(self.model), 1)

    @property
    def is_conditional(self):
        """Whether the model has classes."""
        return self.denoiser.get("num_classes") is not None


def denoise(benchmark):
    """A step at several batch sizes, beside the machine's matrix products."""
    flop = denoiser_flops(benchmark.denoiser, benchmark.is_conditional)
    rows = []
    with benchmark.team("limit") as team:
        for batch in benchmark.batches or (1, 8, 32):
            few = min(_STEPS_FOR_ONE_STEP, max(1, 32 // batch))
            chain = _STEPS_ON_A_GPU if has_gpu() else few
            settings = {"model": benchmark.model, "batch": batch, "num_steps": chain}
            row = _row_beside_products(
                benchmark,
                team,
                f"denoise step, batch {batch}",
                "denoise",
                settings,
                divide_by=chain,
                gflop=batch * flop / 1e9,
            )
            rows.append({**row, "steps_in_a_run": chain})
        benchmark.remember(team)
    return rows


def generate(benchmark):
    """Whole generation: denoising and decoding, with guidance where there are classes."""
    sizes = _autoencoder_sizes(benchmark.model)
    step = denoiser_flops(benchmark.denoiser, benchmark.is_conditional)
    rows = []
    with benchmark.team() as team:
        for batch in benchmark.batches or (8,):
            for num_steps in benchmark.num_steps:
                plain = None
                for guided in (False, True) if benchmark.is_conditional else (False,):
                    flop = num_steps * step * (2 if guided else 1) + decoder_flops(sizes)
                    name = f"generate, {num_steps} steps, batch {batch}"
                    row = benchmark.row(
                        team,
                        name + (", guided" if guided else ""),
                        "generate",
                        {
                            "model": benchmark.model,
                            "batch": batch,
                            "num_steps": num_steps,
                            "guided": guided,
                        },
                        gflop=batch * flop / 1e9,
                    )
                    row |= {"batch": batch, "num_steps": num_steps, "guided": guided}
                    row |= _denoising_ratio(row)
                    if guided:
                        row["times_unguided"] = _times(row, plain)
                    plain = row
                    rows.append(row)
        benchmark.remember(team)
    return rows


def end_to_end(benchmark):
    """16 steps and the decoder; beside them what a student of 4 steps and a small decoder take.

    The peer has no such parts: its time is that of 16 steps in both rows.
    """
    rows = []
    for model, batch in benchmark.models_and_batches:
        size = _autoencoder_sizes(model).image_shape[0]
        settings = {"model": model, "batch": batch}
        few = f"{size}, batch {batch}: 4 steps, small decoder"
        with benchmark.team() as team:
            ours = [path for path in benchmark.paths if path in OURS]
            short = settings | {"num_steps": 4, "decoder": "small"}
            prepared = team.prepare(few, "generate", short, ours)
            row, answers = measured_row(
                team,
                f"{size}, batch {batch}: 16 steps, decoder",
                "generate",
                settings | {"num_steps": 16},
                benchmark.num_repeats,
                also=[(path, few) for path in prepared],
            )
            times = {path: [said["seconds"] for said in answers[path, few]] for path, _ in answers}
            times |= {path: [row["seconds"][path]] for path in row["seconds"] if path not in OURS}
            for found in (row, {"name": few, **comparison(times)}):
                an_image = rounded(found["seconds"][found["fastest"]] / batch)
                rows.append({**found, "batch": batch, "seconds_an_image": an_image})
            benchmark.remember(team)
    return rows


def encode(benchmark):
    """Encoding of uint8 images, at the model's size and at 1024."""
    return _autoencoding(benchmark, "encode", encoder_flops)


def decode(benchmark):
    """Decoding of bits, at the model's size and at 1024."""
    return _autoencoding(benchmark, "decode", decoder_flops)


def train(benchmark):
    """A training step of stage 1 (2 images) and of stage 2 (8 codes)."""
    rows = []
    side = _autoencoder_sizes(benchmark.model).image_shape[0]
    num_layers = max(n for n in (1, 2, 3) if n == 1 or side // 2**n >= 3)
    for batch in benchmark.batches or (2,):
        settings = {"model": benchmark.model, "batch": batch, "num_critic_layers": num_layers}
        with benchmark.team(paths=_TRAINING) as team:
            name = f"train stage 1, batch {batch}"
            rows.append({**benchmark.row(team, name, "train_autoencoder", settings)})
            rows[-1]["batch"] = batch
            rows[-1]["peak_gib"] = _peaks(team)
            benchmark.remember(team)
    flop = _TRAINING_OPERATIONS * denoiser_flops(benchmark.denoiser, benchmark.is_conditional)
    for batch in benchmark.batches or (8,):
        with benchmark.team("limit", paths=_TRAINING) as team:
            row = _row_beside_products(
                benchmark,
                team,
                f"train stage 2, batch {batch}",
                "train_diffusion",
                {"model": benchmark.model, "batch": batch},
                gflop=batch * flop / 1e9,
            )
            rows.append({**row, "peak_gib": _peaks(team)})
            benchmark.remember(team)
    return rows


def linearity(benchmark):
    """Straight lines through seconds over steps, and over the batch: 4 points each."""
    batches, steps = (1, 2, 4, 8), (4, 8, 12, 16)
    rows = []
    with benchmark.team() as team:
        for what, points in (
            ("batch", [(batch, 4) for batch in batches]),
            ("steps", [(2, num_steps) for num_steps in steps]),
        ):
            measured = []
            for batch, num_steps in points:
                settings = {"model": benchmark.model, "batch": batch, "num_steps": num_steps}
                name = f"{num_steps} steps, batch {batch}, over {what}"
                measured.append(benchmark.row(team, name, "denoise", settings))
            values = [point[0 if what == "batch" else 1] for point in points]
            paths = set.intersection(*(set(row["seconds"]) for row in measured))
            for path in sorted(paths):
                seconds = [row["seconds"][path] for row in measured]
                rows.append({"name": f"seconds over {what}, {path}", **fit(values, seconds)})
        benchmark.remember(team)
    return rows


def fit(x, y):
    """Least-squares line through points: its slope, its value at 0, and R^2."""
    slope, intercept = statistics.linear_regression(x, y)
    r_squared = statistics.correlation(x, y) ** 2
    return {
        "x": list(x),
        "seconds": [rounded(value) for value in y],
        "slope": rounded(slope),
        "intercept": rounded(intercept),
        "r_squared": round(r_squared, 5),
    }


def _autoencoding(benchmark, way, flops):
    rows = []
    for model, batches in (
        (benchmark.model, benchmark.batches or (8,)),
        (large_model(benchmark.model), (1,)),
    ):
        sizes = _autoencoder_sizes(model)
        with benchmark.team() as team:
            for batch in batches:
                row = benchmark.row(
                    team,
                    f"{way} {sizes.image_shape[0]}, batch {batch}",
                    way,
                    {"model": model, "batch": batch},
                    gflop=batch * flops(sizes) / 1e9,
                )
                row |= {"batch": batch, "image_size": sizes.image_shape[0]}
                rows.append({**row, "peak_gib": _peaks(team)})
            benchmark.remember(team)
    return rows


def _row_beside_products(benchmark, team, name, case, settings, **options):
    """A row of the denoiser beside the machine's matrix products at its number of tokens."""
    tokens, width = settings["batch"] * _num_tokens(benchmark), benchmark.denoiser["width"]
    products = _prepare_products(team, benchmark.precisions, tokens, width)
    row, answers = measured_row(
        team,
        name,
        case,
        settings,
        benchmark.num_repeats,
        also=[("limit", product) for product in products],
        **options,
    )
    limits = _limits(products, answers, tokens, width)
    # A limit is a best time, so it is compared with best times.
    shares = {
        path: round(row["gflop"] / seconds / limits[precision], 3)
        for path, seconds in row["lowest_seconds"].items()
        for precision in [benchmark.precision_of(path)]
        if precision in limits
    }
    return {**row, "batch": settings["batch"], "gemm_gflops": limits, "share_of_limit": shares}


def _prepare_products(team, precisions, rows, width):
    """Name -> (library, precision) of the products that the limit's worker can do."""
    products = {}
    for library in machine_limit.available_libraries():
        for precision in precisions:
            name = f"{library} {precision}, {rows} rows"
            settings = {"library": library, "precision": precision, "rows": rows, "width": width}
            if team.prepare(name, "product", settings, paths=["limit"]):
                products[name] = precision
    return products


def _limits(products, answers, rows, width):
    """Precision -> GFLOP/s of the fastest chain of the fastest library."""
    gflop = machine_limit.product_flops(rows, width) / 1e9
    limits = {}
    for (_, name), runs in answers.items():
        gflops = gflop / min(seconds for run in runs for seconds in run["parts"].values())
        precision = products[name]
        limits[precision] = round(max(limits.get(precision, 0.0), gflops), 1)
    return limits


def _denoising_ratio(row):
    parts = row.get("parts", {})
    if "peer" not in parts or "fastest" not in row:
        return {}
    seconds = {path: [part["denoise"]] for path, part in parts.items()}
    return {"denoising_" + key: value for key, value in comparison(seconds).items()}


def _times(guided, plain):
    return {
        path: round(guided["seconds"][path] / plain["seconds"][path], 3)
        for path in guided["seconds"]
        if path in plain["seconds"]
    }


def _peaks(team):
    return {path: said["peak_gib"] for path, said in team.describe().items() if path != "limit"}


def _num_tokens(benchmark):
    height, columns, _ = benchmark.denoiser["code_shape"]
    return height * columns + (2 if benchmark.is_conditional else 1)


def _autoencoder_sizes(model):
    return AutoencoderSizes(**model_sizes(model)["autoencoder"])
