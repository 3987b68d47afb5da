import io
import types

import pytest
from PIL import Image

from keras_bld import plot_history
from keras_bld.base.plots import save_figure

pytestmark = pytest.mark.once

HISTORY = {
    "loss": [1.0, 0.5, 0.25],
    "accuracy": [0.0, 0.5, 0.75],
    "val_loss": [1.0, 0.75, 0.5],
}


def test_each_metric_has_a_panel_with_its_validation():
    figure = plot_history(types.SimpleNamespace(history=HISTORY))  # as `fit` returns it
    loss, accuracy = figure.axes
    assert [axes.get_title() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert [list(line.get_ydata()) for line in loss.lines] == [HISTORY["loss"], HISTORY["val_loss"]]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    assert len(accuracy.lines) == 1


def test_some_metrics_and_many():
    assert [axes.get_title() for axes in plot_history(HISTORY, ["accuracy"]).axes] == ["accuracy"]
    many = {f"metric_{number}": [1.0] for number in range(5)}
    assert len(plot_history(many).axes) == 5  # in two rows, without an empty panel


def test_a_notebook_and_a_file_get_pixels(tmp_path):
    figure = plot_history(HISTORY)
    assert Image.open(io.BytesIO(figure._repr_png_())).size[0] > 300
    save_figure(figure, tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as picture:
        assert picture.size[0] > 300


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no epochs"):
        plot_history({})
    with pytest.raises(ValueError, match="`metrics`"):
        plot_history(HISTORY, ["los"])
