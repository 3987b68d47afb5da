"""oneDNN's kernels for TensorFlow on every x86 processor; imported before Keras, for its effect.

TensorFlow takes them by itself only where it finds AVX-512 VNNI or newer. With AVX2 alone they made
training steps and denoising 1.1 to 1.6 times as fast (docs/performance.md). TensorFlow reads the
variable once, at its own import: where that came first, nothing changes. A value that is set
already stays.
"""

import os
import platform

if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
