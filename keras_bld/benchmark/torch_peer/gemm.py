"""Matrix products of torch, timed."""

import torch


def product_chain(matrices, rows, precision):
    """A callable that sends a (rows, width) matrix through a chain of products.

    Args:
        matrices: float32 arrays (inputs, outputs), each fitting the one before.
        rows: rows of the first matrix.
        precision: "float32" or "bfloat16".
    """
    on_gpu = torch.cuda.is_available()
    place = {"device": "cuda" if on_gpu else "cpu", "dtype": getattr(torch, precision)}
    # (outputs, inputs), as torch.nn.Linear keeps them.
    weights = [torch.from_numpy(matrix.T.copy()).to(**place) for matrix in matrices]
    start = torch.ones(rows, len(matrices[0]), **place)

    def run():
        with torch.inference_mode():
            x = start
            for weight in weights:
                x = torch.nn.functional.linear(x, weight)
            if on_gpu:
                torch.cuda.synchronize()

    return run


def has_bfloat16():
    """Whether torch's library of products takes bfloat16 on this processor."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
