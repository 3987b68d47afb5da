"""`keras-bld demo`."""

from typing import Literal

from keras_bld.base.runs import say, short_errors


def demo_command(
    preset: str = "bld_digits_16",
    /,
    *,
    store: str | None = None,
    decoder: Literal["full", "small"] = "full",
    host: str = "127.0.0.1",
    port: int | None = None,
):
    """Open a page to play with a model in the browser: generate, watch, inpaint, reconstruct.

    The page shows the command or the lines of Python for what is on it. It needs the extra `demo`,
    loads nothing from other machines, and reports nothing.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder.
        store: codes of the training images, as `encode` writes them; the page then shows the
            nearest ones beside generated images.
        decoder: small makes images of codes quicker, for presets that have one (distill-decoder).
        host: address to listen on; only this machine's own by default, 0.0.0.0 for all.
        port: by default the first free one from 7860.
    """
    with short_errors():
        from keras_bld.base.optional import import_optional

        import_optional("gradio", "demo")  # before the model is loaded
        from keras_bld.data import CodeStore
        from keras_bld.presets import autoencoder_fingerprint
        from keras_bld.serving.page import Page
        from keras_bld.serving.page_layout import build_page, open_page
        from keras_bld.zoo import load_preset, read_metadata

        model = load_preset(preset, expected_class="BinaryLatentDiffusion")
        codes = None
        if store is not None:
            codes = CodeStore(store, autoencoder_fingerprint(model.autoencoder))
        say("Making the first picture ...")
        page = build_page(Page(model, preset, read_metadata(preset), codes, decoder))
        open_page(page, host, port)
