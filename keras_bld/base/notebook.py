"""Whether this is a notebook."""

import sys


def in_notebook():
    """Whether code runs in a cell of a notebook (Jupyter, Colab, VS Code), not in a terminal."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")
