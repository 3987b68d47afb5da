"""Tools that the commands around trained models share."""

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
