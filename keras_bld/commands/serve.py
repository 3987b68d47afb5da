"""`keras-bld serve`."""

import os
import pathlib
from typing import Literal

from keras_bld.base import checks
from keras_bld.base.runs import say, short_errors


def serve_command(
    preset: str,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key_file: str | None = None,
    max_count: int = 16,
    max_steps: int | None = None,
    max_image_bytes: int = 2**21,
    max_image_pixels: int = 2**22,
    max_queue: int = 128,
    max_batch: int = 16,
    timeout: float = 60.0,
    precision: Literal["bfloat16", "float32"] = "bfloat16",
    threads: int = 0,
    decoder: Literal["full", "small"] = "full",
    write_program: str | None = None,
):
    """Answer requests for images over HTTP: generate, inpaint, encode, decode.

    Needs the extra `serve`. The first start writes the preset as a program of OpenVINO to the
    cache (~/.cache/keras_bld/programs, or $KERAS_BLD_CACHE); later ones import no Keras and no
    backend. The page /docs says what requests look like.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder, or a directory
            that --write-program wrote.
        host: address to listen on; only this machine's own by default, 0.0.0.0 for all.
        port: 0 takes a free one; the log names it.
        api_key_file: file whose first line requests must bring, as `Authorization: Bearer KEY` or
            `X-API-Key: KEY`; by default the variable KERAS_BLD_API_KEY, and without it none.
        max_count: most images of a request.
        max_steps: most denoising steps of a request; by default the T of the preset.
        max_image_bytes: most bytes of a picture that is sent.
        max_image_pixels: most pixels of such a picture.
        max_queue: most images that wait or are being made; more requests get 429.
        max_batch: most rows of one run of the denoiser.
        timeout: seconds that a request may take; then it gets 504.
        precision: of OpenVINO; bfloat16 is float32 where the processor has none.
        threads: of OpenVINO; 0 takes one for each core.
        decoder: small makes images of codes quicker, for presets that have one (distill-decoder).
        write_program: directory to write the program to; nothing is served.
    """
    with short_errors():
        from keras_bld.base.optional import import_optional
        from keras_bld.serving.service import program as programs
        from keras_bld.serving.service.settings import ServiceSettings
        from keras_bld.zoo import SHIPPED  # noqa: F401 (names of shipped presets are known)

        if write_program is not None:
            programs.write_program(preset, write_program, decoder)
            say(write_program)
            return
        settings = ServiceSettings(
            max_count, max_steps, max_image_bytes, max_image_pixels, max_queue, max_batch,
            timeout, precision, threads,
        )  # fmt: skip
        import_optional("openvino", "serve")
        from keras_bld.serving.service.server import listen, serve

        program = programs.program_of(preset, say, decoder)
        serve(program, settings, listen(host, port), _api_key(api_key_file))


def _api_key(file):
    if file is None:
        return os.environ.get("KERAS_BLD_API_KEY") or None
    key = pathlib.Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
    if not key:
        raise checks.error(
            "api-key-file", f"{file}, without a key", "a key in its first line", "write one there"
        )
    return key
