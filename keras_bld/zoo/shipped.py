"""The folder of the weights that come with the library."""

import pathlib

SHIPPED = pathlib.Path(__file__).parent / "weights"
