"""Names: which published one goes where, as the tables of the conversion.

A row is (published name, attribute path in our model, layout). Rows are expanded from layers: a
torch Linear or Conv2d has `weight` and `bias`, a Keras Dense or Conv2D `kernel` and `bias`, and
so on. Paths are walked with `getattr`, numbers index a list.
"""

AS_STORED = "as stored"
LINEAR = "oi -> io"  # o: output channels, i: input channels
CONVOLUTION = "oihw -> hwio"
POINTWISE = "oi11 -> io"  # a 1x1 convolution becomes a Dense

# Layer -> ((torch name, Keras name, layout), ...).
TENSOR = (("", "", AS_STORED),)
DENSE = ((".weight", ".kernel", LINEAR), (".bias", ".bias", AS_STORED))
DENSE_AS_STORED = ((".weight", ".kernel", AS_STORED),)  # a matrix used as tokens @ weight
LOOKUP = ((".weight", ".embeddings", AS_STORED),)
NORM = ((".weight", ".gamma", AS_STORED), (".bias", ".beta", AS_STORED))
CONV = ((".weight", ".kernel", CONVOLUTION), (".bias", ".bias", AS_STORED))
CONV_WITHOUT_BIAS = CONV[:1]
CONV_1X1 = ((".weight", ".kernel", POINTWISE), (".bias", ".bias", AS_STORED))
BATCH_NORM = (
    *NORM,
    (".running_mean", ".moving_mean", AS_STORED),
    (".running_var", ".moving_variance", AS_STORED),
)

DENOISER = (
    ("tok_emb", "token_embedding", DENSE_AS_STORED),
    ("pos_emb", "positions", TENSOR),
    ("time_step_embedding.l0", "time_embedding.hidden", DENSE),
    ("time_step_embedding.linear", "time_embedding.output_projection", DENSE),
    ("ln_f", "output_norm", NORM),
    ("head", "head", DENSE),
)
# Condition kind -> what it adds to the denoiser.
CONDITION = {
    None: (),
    "class": (("cls_embedding", "condition_embedding", LOOKUP),),
    "token": (("cls_embedding", "condition_embedding", DENSE),),
    "cross_attention": (),
}
TRANSFORMER_BLOCK = (
    ("ln1", "attention_norm", NORM),
    ("attn.qkv", "attention.query_key_value", DENSE),
    ("attn.proj", "attention.projection", DENSE),
    ("gamma_1", "attention_scale", TENSOR),
    ("ln2", "mlp_norm", NORM),
    ("mlp.0", "mlp_hidden", DENSE),
    ("mlp.2", "mlp_output", DENSE),
    ("gamma_2", "mlp_scale", TENSOR),
)
CROSS_ATTENTION = (
    ("ln1_5", "cross_norm", NORM),
    ("cross.query", "cross_attention.query", DENSE),
    ("cross.kv", "cross_attention.key_value", DENSE),
    ("cross.proj", "cross_attention.projection", DENSE),
    ("cross.null_emb", "cross_attention.null_embedding", TENSOR),
    ("gamma_1_5", "cross_scale", TENSOR),
)

RESIDUAL_BLOCK = (
    ("norm1", "norm1", NORM),
    ("conv1", "conv1", CONV),
    ("norm2", "norm2", NORM),
    ("conv2", "conv2", CONV),
)
SHORTCUT = (("conv_out", "shortcut", CONV_1X1),)  # only where the channels change
ATTENTION_BLOCK = (
    ("norm", "norm", NORM),
    ("q", "query", CONV_1X1),
    ("k", "key", CONV_1X1),
    ("v", "value", CONV_1X1),
    ("proj_out", "projection", CONV_1X1),
)
RESAMPLING = (("conv", "conv", CONV),)
BITS = (
    ("ae.quantize.proj.0", "code_logits", CONV_1X1),
    ("ae.quantize.embed.weight", "decoder.embedding", TENSOR),
)


def expand(table, published_prefix="", path_prefix=""):
    """Layers -> rows, one for each tensor.

    Args:
        table: layers (published name, path, tensors).
        published_prefix, path_prefix: put before the names, e.g. "blocks.0.".

    Returns:
        List of (published name, path, layout).

    Example:

    >>> expand((("head", "head", DENSE),), "_denoise_fn.", "denoiser.")[1]
    ('_denoise_fn.head.bias', 'denoiser.head.bias', 'as stored')
    """
    return [
        (published_prefix + published + torch_name, path_prefix + path + keras_name, layout)
        for published, path, tensors in table
        for torch_name, keras_name, layout in tensors
    ]
