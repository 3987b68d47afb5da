"""`keras-bld benchmark`."""

from typing import Literal, get_args

Section = Literal[
    "denoise",
    "generate",
    "end_to_end",
    "encode",
    "decode",
    "train",
    "data",
    "start",
    "linearity",
    "checkpoint",
]
Path = Literal["keras", "keras_bfloat16", "openvino", "peer", "peer_bfloat16"]
_ON_REQUEST = ("end_to_end", "linearity", "checkpoint")


def benchmark_command(
    *,
    model: Literal["unconditional_256", "imagenet_256", "tiny"] = "unconditional_256",
    only: tuple[Section, ...] = (),
    batch: tuple[int, ...] = (),
    num_steps: tuple[int, ...] = (16, 64),
    num_repeats: int = 5,
    path: tuple[Path, ...] = (),
    peer: bool = True,
    json: str | None = None,
    chart: str | None = None,
):
    """Measure speed and memory, beside a plain PyTorch peer and this machine's matrix products.

    Ours and the peer run in turn, each in a process of its own, so that all see the same load;
    medians count. Weights are random. docs/performance.md says how each number comes about. With
    an NVIDIA GPU the backend is measured on it, in float32 and bfloat16, and no peer.

    Args:
        model: the paper's unconditional 256 x 256 model, its ImageNet model, or a toy for tests.
        only: sections to measure; by default all but end_to_end, linearity and checkpoint.
        batch: batch sizes; by default those of each section.
        num_steps: steps of whole generation.
        num_repeats: timed runs of each path, after one that compiles.
        path: columns to measure; by default all that run here.
        peer: also run the peer (--no-peer leaves it out).
        json: write one JSON object to this path; - prints it, and nothing else, to standard output.
        chart: write a chart to this picture file.
    """
    from keras_bld.base import checks
    from keras_bld.base.processor import has_gpu
    from keras_bld.base.runs import short_errors
    from keras_bld.benchmark import report, sections
    from keras_bld.benchmark.checkpoint_section import checkpoint
    from keras_bld.benchmark.data_section import data
    from keras_bld.benchmark.machine_limit import has_bfloat16
    from keras_bld.benchmark.settings import ON_CPU, ON_GPU, PATHS
    from keras_bld.benchmark.start_section import start

    functions = {"checkpoint": checkpoint, "data": data, "start": start}
    names = only or tuple(name for name in get_args(Section) if name not in _ON_REQUEST)
    with short_errors():
        checks.check_integer("num_repeats", num_repeats, 1)
        for value in batch:
            checks.check_integer("batch", value, 1)
        on_gpu = has_gpu()
        for name in path:
            checks.check_choice("path", name, ON_GPU if on_gpu else PATHS)
        wanted = path or (ON_GPU if on_gpu else ON_CPU)
        paths = [name for name in wanted if peer or not name.startswith("peer")]
        bfloat16 = on_gpu or has_bfloat16()
        if not bfloat16:
            paths = [name for name in paths if name != "peer_bfloat16"]
        benchmark = sections.Benchmark(
            model, batch, num_steps, num_repeats, tuple(paths), bfloat16=bfloat16
        )
        if not bfloat16:
            benchmark.notes["bfloat16"] = (
                "this processor has none: openvino runs in float32, peer_bfloat16 is left out"
            )
        numbers = {**report.machine(), "model": model, "medians_of": num_repeats}
        numbers["sections"] = {
            name: (functions.get(name) or getattr(sections, name))(benchmark) for name in names
        }
        numbers["notes"] = benchmark.notes
        numbers |= report.headline(numbers)
        if json is not None:
            report.write_json(numbers, json)
        if chart is not None:
            report.save_chart(numbers, chart)
        if json != "-":
            report.print_tables(numbers)
