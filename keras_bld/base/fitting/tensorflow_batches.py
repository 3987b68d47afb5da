"""`tf.data` datasets: their first batch is looked at where it passes, inside the pipeline."""

from keras_bld.base.batch_forms import Batch, pack_batch, unpack_batch


def looked_at_in_tensorflow(data, first_look):
    """See `keras_bld.base.fitting.datasets.looked_at`.

    Args:
        data: a `tf.data.Dataset`.
        first_look: a `FirstLook`.
    """
    import tensorflow as tf

    def pass_on(index, batch):
        batch = unpack_batch(batch, first_look.takes_labels)
        present = [name for name in Batch._fields[:3] if getattr(batch, name) is not None]
        tensors = [getattr(batch, name) for name in present]

        def look(*arrays):
            named = dict(zip(present, arrays, strict=True))
            first_look.look(Batch(*map(named.get, Batch._fields[:3]), batch.kind))
            return 0

        seen = tf.cond(
            tf.equal(index, 0),
            lambda: tf.py_function(look, tensors, tf.int32),
            lambda: tf.constant(0),
        )
        with tf.control_dependencies([seen]):
            tensors = [tf.identity(tensor) for tensor in tensors]
        return pack_batch(batch._replace(**dict(zip(present, tensors, strict=True))))

    return data.enumerate().map(pass_on)
