"""1024 x 1024 in one shot at full size: seconds and peak memory of encode, decode and sample.

    python tests/benchmarks/one_megapixel.py --image photo.jpg --num-steps 16 --json

The catalogue's architecture `bld_ffhq_1024` (f = 32, 32 x 32 x 64 bits, 24 x 512) with random
weights: what it draws means nothing, what it costs is what a trained one costs.
"""

import argparse
import json
import os
import resource
import sys
import time

import numpy as np

import keras_bld
from keras_bld import zoo
from keras_bld.data import ImagePreprocessing
from keras_bld.evaluation import psnr, save_image_grid


def main():
    """Run each stage once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", required=True, help="any photograph")
    parser.add_argument("--num-steps", type=int, default=16)
    parser.add_argument("--preset", help="a trained preset in place of random weights")
    parser.add_argument("--out", help="where to write the reconstruction as PNG")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args()
    name = "bld_ffhq_1024"
    model = keras_bld.load_preset(arguments.preset) if arguments.preset else zoo.build(name)
    image = ImagePreprocessing(model.autoencoder.image_shape[0])(arguments.image)[None]
    numbers = {"backend": os.environ.get("KERAS_BACKEND", "tensorflow")}

    def timed(label, function):
        begun = time.perf_counter()
        result = function()
        numbers[f"{label}_seconds"] = round(time.perf_counter() - begun, 2)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        numbers[f"peak_gib_after_{label}"] = round(peak / 2**20, 2)
        return result

    codes = timed("encode_first", lambda: model.autoencoder.encode(image))
    timed("encode", lambda: model.autoencoder.encode(image))
    reconstruction = timed("decode_first", lambda: model.autoencoder.decode(codes))
    timed("decode", lambda: model.autoencoder.decode(codes))
    sampling = {"num_steps": arguments.num_steps, "seed": 0}
    timed("sample_codes_first", lambda: model.generate_codes(1, **sampling))
    sample = timed("sample_codes", lambda: model.generate_codes(1, **sampling))
    timed("generate", lambda: model.generate(1, **sampling))
    numbers["code_shape"] = list(codes.shape[1:])
    numbers["bits_set_in_sample"] = round(float(np.mean(sample)), 4)
    numbers["reconstruction_psnr_db"] = round(float(np.mean(psnr(image, reconstruction))), 2)
    if arguments.out:
        save_image_grid(arguments.out, np.concatenate([image / 255.0, reconstruction]), columns=2)
    if arguments.json:
        json.dump(numbers, sys.stdout, indent=2)
        print()
    else:
        for label, value in numbers.items():
            print(f"{label}: {value}")


if __name__ == "__main__":
    main()
