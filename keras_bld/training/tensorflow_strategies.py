"""The strategies of TensorFlow that a training is spread with."""

import signal

from keras_bld.base.stopping import keep_python_handler


def open_strategy(mode, num_cpu_devices=None):
    """Return the `tf.distribute` strategy of a mode.

    Args:
        mode: "mirrored", on all GPUs of this machine, or "multi_worker", on the machines in
            TF_CONFIG.
        num_cpu_devices: how many devices to make of the processor, which take part where there is
            no GPU; a number or its digits, None for one.
    """
    import tensorflow as tf

    if num_cpu_devices is not None:
        (cpu,) = tf.config.list_physical_devices("CPU")
        devices = [tf.config.LogicalDeviceConfiguration()] * int(num_cpu_devices)
        tf.config.set_logical_device_configuration(cpu, devices)
    if mode == "multi_worker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        keep_python_handler(signal.SIGTERM)  # its notifier of preemption, unused here, took it
        return strategy
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
