"""A published state dict under its canonical names, whatever was wrapped around it."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from keras_bld.base import checks
from keras_bld.presets.budget import TooLargeError, build_at_most

# What torch's wrappers (DataParallel, compile) put into names; no published name has them.
_WRAPPERS = ("module", "_orig_mod")
ANCHORS = {"diffusion": "tok_emb.weight", "autoencoder": "encoder.blocks.0.weight"}
_ENTRANCES = {"diffusion": "diffusion_from_published", "autoencoder": "autoencoder_from_published"}
# Published prefix of the network -> what starts so if the prefix was stripped.
_NETWORK_PREFIX = {"diffusion": "_denoise_fn.", "autoencoder": "ae."}
_NETWORK_PARTS = {
    "diffusion": ("tok_emb.", "pos_emb", "cls_embedding.", "blocks.", "ln_f.", "head.")
    + ("time_step_embedding.",),
    "autoencoder": ("encoder.", "quantize.", "generator."),
}
_NUMBER = re.compile("[0-9]{1,6}")
_ANOTHER_COPY = "another copy of the weights; the one under {!r} was taken"


@dataclass
class PublishedState:
    """Tensors under canonical names.

    Attributes:
        arrays: canonical name -> array; "_denoise_fn.head.weight", "ae.encoder.blocks.0.weight".
        names: canonical name -> name in the checkpoint.
        left_over: name in the checkpoint -> reason, for what is not even a candidate.
    """

    arrays: dict
    names: dict
    left_over: dict = field(default_factory=dict)

    def shape(self, name, rank):
        """Shape of a tensor that sizes are read from.

        Raises:
            ValueError: the tensor is missing or has another rank.
        """
        if name not in self.arrays:
            raise missing_tensors([name], self)
        shape = tuple(self.arrays[name].shape)
        if len(shape) != rank or 0 in shape:
            raise checks.error(
                "state_dict",
                f"`{self.names[name]}` of shape {shape}",
                f"{rank} dimensions, none of them empty",
                "pass the published state dict, with tensors in their torch layouts",
            )
        return shape

    def indices(self, prefix):
        """Sorted numbers n for which a name `prefix` + "n." exists."""
        found = {
            name[len(prefix) :].split(".")[0] for name in self.arrays if name.startswith(prefix)
        }
        return sorted(int(number) for number in found if _NUMBER.fullmatch(number))

    @contextlib.contextmanager
    def bounded_building(self):
        """Let the model that is built in the block be about as large as the tensors at most.

        Raises:
            ValueError: it would be far larger.
        """
        num_values = sum(array.size for array in self.arrays.values())
        try:
            # A checkpoint cut short gets a message that names the missing tensors.
            with build_at_most(4 * num_values, 4 * len(self.arrays)):
                yield
        except TooLargeError as reason:
            raise checks.error(
                "state_dict",
                f"{len(self.arrays)} tensors of {num_values:,} numbers, whose names and shapes tell"
                " of a far larger network",
                "every tensor of the published network",
                "pass the whole checkpoint, unchanged",
            ) from reason


def published_state(state_dict, kind):
    """Strip wrappers and prefixes from the names of a state dict, and make its values arrays.

    Args:
        state_dict: mapping name -> array (or torch tensor).
        kind: "diffusion" or "autoencoder".

    Returns:
        A `PublishedState`.

    Raises:
        TypeError: not a mapping.
        ValueError: no such model in it.
    """
    arrays, left_over = _arrays(state_dict)
    unwrapped, names = {}, {}
    for name in arrays:
        bare = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if bare in unwrapped:
            raise checks.error(
                "state_dict",
                f"`{names[bare]}` and `{name}`, the same tensor with and without a wrapper",
                "one of them",
                "keep one copy of the weights",
            )
        unwrapped[bare], names[bare] = arrays[name], name
    root = _root(unwrapped, kind)
    canonical = PublishedState({}, {}, left_over)
    for bare, array in unwrapped.items():
        if not bare.startswith(root):
            copy = any(bare.startswith(other) for other in _roots(unwrapped, kind) if other != root)
            outside = f"outside of the {kind} model, which stands under {root!r}"
            left_over[names[bare]] = _ANOTHER_COPY.format(root) if copy else outside
            continue
        name = bare[len(root) :]
        if name.startswith(_NETWORK_PARTS[kind]):
            name = _NETWORK_PREFIX[kind] + name
        canonical.arrays[name], canonical.names[name] = array, names[bare]
    return canonical


def kind_of(state_dict):
    """Return "diffusion" or "autoencoder", by the names.

    Raises:
        TypeError: not a mapping.
        ValueError: neither, or both.
    """
    names = list(_arrays(state_dict)[0])
    kinds = [kind for kind, anchor in ANCHORS.items() if any(map(_ends_with(anchor), names))]
    if len(kinds) != 1:
        raise checks.error(
            "state_dict",
            f"{'both models' if kinds else 'neither model'} in tensors named {some(names)}",
            " or ".join(
                f"a name ending in `{anchor}` ({kind})" for kind, anchor in ANCHORS.items()
            ),
            "pass a published checkpoint (bld_ema_*.th or binaryae_ema_*.th), or name the kind",
        )
    return kinds[0]


def split_left_over(state, used, reasons, ignore, network_prefixes):
    """Name what no variable took, and why; refuse what nobody knows inside a network.

    Args:
        state: the `PublishedState`.
        used: canonical names that were placed.
        reasons: (pattern of a canonical name, reason) pairs, the first match counts.
        ignore: patterns of names that the caller does not need.
        network_prefixes: canonical prefixes under which an unknown name is an error.

    Returns:
        Name in the checkpoint -> reason.

    Raises:
        ValueError: a tensor of the network that the model has no place for.
    """
    left_over, unknown = dict(state.left_over), []
    for name, original in state.names.items():
        if name in used:
            continue
        matching = [reason for pattern, reason in reasons if fnmatchcase(name, pattern)]
        if any(fnmatchcase(name, pattern) or fnmatchcase(original, pattern) for pattern in ignore):
            left_over[original] = "ignored, as asked"
        elif matching:
            left_over[original] = matching[0]
        elif name.startswith(tuple(network_prefixes)):
            unknown.append(original)
        else:
            left_over[original] = "unknown name, outside of the networks"
    if unknown:
        raise checks.error(
            "state_dict",
            f"tensors that the network has no place for: {some(unknown)}",
            "only tensors of the published networks",
            "check that the file is a published checkpoint; if these tensors are not needed,"
            f" pass ignore=({unknown[0]!r},) (names or patterns)",
        )
    return left_over


def missing_tensors(names, state):
    """The error for tensors that are not there."""
    present = next(iter(state.names.values()), "")
    return checks.error(
        "state_dict",
        f"a state dict without {some(names)}",
        "every tensor of the published network",
        f"pass the whole checkpoint (it has {len(state.names)} tensors, such as `{present}`);"
        " a file cut short while it was saved or fetched must be fetched again",
    )


def some(names, number=4):
    """The first names and how many more there are."""
    names = list(names)
    listed = ", ".join(f"`{name}`" for name in names[:number])
    more = len(names) - number
    return (listed or "none") + (f" and {more} more" if more > 0 else "")


def as_array(value):
    """A NumPy array of an array, a number or a tensor of any framework; None for anything else."""
    if hasattr(value, "detach"):  # a torch tensor, known without importing torch
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    if not isinstance(value, (int, float)) and not hasattr(value, "__array__"):
        return None
    array = np.asarray(value)
    # bfloat16 comes from ml_dtypes, for which NumPy knows no kind.
    return array if array.dtype.kind in "fiub" or array.dtype.name == "bfloat16" else None


def refuse_optimizer(content, argument):
    """Raise ValueError if a mapping is what torch's optimizers save."""
    if "param_groups" in content:
        raise checks.error(
            argument,
            "the state of an optimizer (it has `param_groups`)",
            "the weights of a model",
            "pass binaryae_ema_*.th or bld_ema_*.th, not *_optim_*.th",
        )


def _arrays(state_dict):
    if not isinstance(state_dict, Mapping):
        raise checks.error(
            "state_dict",
            f"a {type(state_dict).__name__}",
            "a mapping from published names to arrays",
            "read a file with `read_checkpoint(path)`",
            kind=TypeError,
        )
    refuse_optimizer(state_dict, "state_dict")
    arrays, left_over = {}, {}
    for name, value in state_dict.items():
        array = as_array(value)
        if array is None:
            left_over[str(name)] = f"not a tensor, but a {type(value).__name__}"
        else:
            arrays[str(name)] = array
    return arrays, left_over


def _ends_with(anchor):
    return lambda name: name == anchor or name.endswith("." + anchor)


def _roots(names, kind):
    """Prefixes under which the model stands, the network's own prefix not included."""
    anchor = ANCHORS[kind]
    prefixes = [name[: -len(anchor)] for name in names if _ends_with(anchor)(name)]
    return [prefix.removesuffix(_NETWORK_PREFIX[kind]) for prefix in prefixes]


def _root(names, kind):
    roots = _roots(names, kind)
    if not roots:
        other = next(other for other in ANCHORS if other != kind)
        anchor = _NETWORK_PREFIX[kind] + ANCHORS[kind]
        fix = f"pass the state dict of the published {kind} model"
        if _roots(names, other):
            fix = f"this is a published {other}: call `{_ENTRANCES[other]}`"
        raise checks.error(
            "state_dict",
            f"{len(names)} tensors named {some(names)}",
            f"the published {kind} model's tensors, `{anchor}` among them, prefixed or not",
            fix,
        )
    averaged = [root for root in roots if "ema" in root]
    chosen = averaged or roots
    if len(chosen) > 1:
        raise checks.error(
            "state_dict",
            f"several models, under the prefixes {chosen}",
            "one model",
            "pass the tensors of one prefix only",
        )
    return chosen[0]
