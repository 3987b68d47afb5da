"""Curves with matplotlib, without windows: figures that a notebook shows and a file takes."""

import io

from keras_bld.base import checks
from keras_bld.base.files import replacing

_DOTS_PER_INCH = 110
_MOST_COLUMNS = 4


def new_figure(columns=1, rows=1):
    """A matplotlib figure and its axes (one, or an array of them).

    It belongs to no window and not to `pyplot`, whatever matplotlib is set to; as the last value
    of a notebook's cell it is shown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure_class()(
        figsize=(5 if columns == 1 else 3 * columns, 3.5 * rows), layout="constrained"
    )
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns)


def save_figure(figure, path):
    """Write a figure as a picture, whole or not at all."""
    with replacing(path) as new:
        figure.savefig(new, dpi=_DOTS_PER_INCH)


def draw_history(axes, title, training, validation=None):
    """One value by epoch, of training and of validation; on a logarithmic axis where it can be.

    Args:
        axes: of matplotlib.
        title: of the panel.
        training, validation: one number for each epoch.
    """
    values = list(training) + list(validation or [])
    for numbers, label in ((training, "training"), (validation, "validation")):
        if numbers:
            axes.plot(range(1, len(numbers) + 1), numbers, label=label)
    if title.startswith("loss") and min(values) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_title(title)
    if validation:
        axes.legend()


def plot_history(history, metrics=None):
    """Plot what `fit` returns: one panel for each metric, with validation where there was any.

    Args:
        history: the `keras.callbacks.History` that `fit` returns, or its dictionary `history`.
        metrics: names of what to plot, e.g. ("loss", "accuracy"); None takes all.

    Returns:
        A `matplotlib.figure.Figure`: a notebook shows it, `.savefig("history.png")` writes it.

    Raises:
        ValueError: no epochs, or an unknown metric.

    Example:
        >>> figure = plot_history({"loss": [0.5, 0.2], "val_loss": [0.6, 0.4]})
        >>> [axes.get_title() for axes in figure.axes]
        ['loss']
    """
    values = getattr(history, "history", history)
    known = [name for name in values if not name.startswith("val_")]
    if not known:
        raise checks.error(
            "history", "no epochs", "what `fit` returned", "call fit with epochs >= 1"
        )
    for name in metrics or ():
        checks.check_choice("metrics", name, tuple(known))
    chosen = list(metrics or known)
    columns = min(len(chosen), _MOST_COLUMNS)
    rows = -(-len(chosen) // columns)
    figure, axes = new_figure(columns, rows)
    panels = [axes] if len(chosen) == 1 else list(axes.flat)
    for panel, name in zip(panels, chosen, strict=False):
        draw_history(panel, name, list(values[name]), list(values.get(f"val_{name}", [])))
    for panel in panels[len(chosen) :]:
        panel.remove()
    return figure


def _figure_class():
    from matplotlib.figure import Figure

    class Plot(Figure):
        """A figure that notebooks show without `pyplot`."""

        def _repr_png_(self):
            content = io.BytesIO()
            self.savefig(content, dpi=_DOTS_PER_INCH)
            return content.getvalue()

    return Plot
