"""Tools that the commands around trained models share."""

import contextlib

from keras_bld.data.code_store import shard_name, shard_starts


def images_written(store, earlier_files):
    """How many images of a `CodeStore` are in other shards than those `earlier_files` names."""
    num_shards = store.header["num_shards"]
    starts = [*shard_starts(len(store), num_shards), len(store)]
    return sum(
        starts[shard + 1] - starts[shard]
        for shard in range(num_shards)
        if shard_name(shard, num_shards) not in earlier_files
    )


@contextlib.contextmanager
def progress_bar(description, total):
    """Show a progress bar; yields a function of the number of items that are done."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)
