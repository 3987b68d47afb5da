"""Models that say how large they are: in their `repr`, and in a summary without gaps."""

import contextlib


class Described:
    """Mixin of Keras layers and models: `repr` and `summary` show sizes.

    A subclass defines `facts`, and `output_shapes` where Keras does not know those of its layers.
    """

    def facts(self):
        """List of short texts, e.g. "T = 64"."""
        return []

    def output_shapes(self):
        """List of (layer, shape of its output) for `summary`."""
        return []

    def __repr__(self):
        facts = ", ".join([*self.facts(), f"{self.count_params():,} weights"])
        return f"<{type(self).__name__} {self.name}: {facts}>"

    def summary(self, *arguments, print_fn=None, **options):
        """`keras.Model.summary`, below the model's `repr` and with the shapes of all layers."""
        (print_fn or print)(repr(self))
        with _shapes_shown(self):
            super().summary(*arguments, print_fn=print_fn, **options)


@contextlib.contextmanager
def _shapes_shown(model):
    """Tell Keras the output shapes of layers that are not built by shapes; undone afterwards."""
    waiting, changed = [model], []
    while waiting:
        for layer, shape in getattr(waiting.pop(), "output_shapes", list)():
            waiting.append(layer)
            if layer._build_shapes_dict or layer._inbound_nodes:
                continue
            changed.append(layer)
            # Not by assignment: Keras and torch keep account of attributes.
            layer.__dict__.update(output_shape=shape, _build_shapes_dict={"input_shape": shape})
    try:
        yield
    finally:
        for layer in changed:
            del layer.__dict__["output_shape"]
            layer.__dict__["_build_shapes_dict"] = None


def counted(number, noun):
    """A number with its noun: "1 block", "4 blocks", "10 classes"."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"
