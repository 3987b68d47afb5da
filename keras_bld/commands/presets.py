"""`keras-bld presets`."""

from keras_bld.base import checks


def presets_command(with_weights: bool = False):
    """List the presets: architectures of the paper, released models, and what is on this machine.

    Args:
        with_weights: list only presets that load_preset can load here and now.
    """
    from rich.console import Console

    from keras_bld.zoo.listing import list_presets

    rows = [row for row in list_presets() if row.has_weights or not with_weights]
    console = Console()
    console.print(presets_table(rows))
    damaged = sum(row.damage is not None for row in rows)
    console.print(
        f"{len(rows)} presets, {sum(row.has_weights for row in rows)} with weights"
        f"{f', {damaged} damaged' if damaged else ''}. Build an"
        " architecture with keras_bld.zoo.build(name), load weights with"
        " keras_bld.load_preset(name).",
        highlight=False,
    )


def presets_table(rows):
    """The rich table of a list of `Preset` rows, two lines each so that it fits 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    widest_name = max((len(row.name) for row in rows), default=0)
    table.add_column("preset\nmetric", min_width=widest_name)
    table.add_column("pixels / f\ncode", no_wrap=True)
    table.add_column("denoiser, T\ncondition", max_width=15)
    table.add_column("weights\norigin", no_wrap=True)
    table.add_column("here\nlicence", no_wrap=True)
    for row in rows:
        # Texts of files are shown as they are: no markup, nothing that a terminal obeys.
        cells = [Text("\n".join(map(checks.printable, cell))) for cell in _cells(row)]
        table.add_row(*cells, style=None if row.has_weights else "dim")
    return table


def _cells(row):
    """Two lines for each column."""
    if row.damage is not None:
        return (row.name, f"damaged: {row.damage}"), *[("-", "")] * 4
    denoiser, condition = "-", ""
    if row.depth is not None:
        denoiser = f"{row.depth}x{row.width}x{row.num_heads}, {row.num_training_steps}"
    if row.condition is not None:
        condition = f"{row.condition} {row.condition_size}"
    metric = row.metric or "-"
    if row.guidance_scale:
        metric += f", w = {row.guidance_scale:g}"
    if row.shares_autoencoder_with is not None:
        metric += f"; shares the autoencoder of {row.shares_autoencoder_with}"
    return (
        (row.name, metric),
        (f"{row.resolution} / {row.downsampling}", "x".join(map(str, row.code_shape))),
        (denoiser, condition),
        (f"{row.num_weights / 1e6:.1f} M", row.origin),
        ("yes" if row.has_weights else "no", row.licence or "-"),
    )
