"""The page in the browser: fields, tabs and buttons of Gradio around a `Page`."""

import dataclasses
import html
import traceback

import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.base.random import resolve_seed
from keras_bld.serving.page import MOST_IMAGES, MOST_RESULTS, MOST_UPLOADS, PageSettings
from keras_bld.serving.page_pictures import ORANGE, enlarged

_EDITOR_WIDTH = 384  # pixels
_MEGABYTES_OF_UPLOADS = 64
_CSS = """
.gradio-container { width: 100%; min-width: 0; max-width: 1120px !important;
    margin: 0 auto !important; }
/* A row of tabs must not make a telephone's page wider than the telephone. */
.gradio-container .column { min-width: min(320px, 100%) !important; }
.message { border-left: 4px solid #c62828; padding: 8px 12px; overflow-wrap: anywhere;
    background: color-mix(in srgb, #c62828 8%, transparent); }
.title h1 { margin-bottom: 0; }
.picture .image-frame, .picture .empty { padding-top: 32px; }
.copy textarea { font-family: ui-monospace, monospace; font-size: 13px; }
@media (max-width: 640px) { .gradio-container { padding: 8px !important; } }
"""


def build_page(page):
    """Lay out the page.

    Args:
        page: a `Page`. Its first picture is made here, so that it is there when a browser opens
            the page, and what the first click needs is compiled.

    Returns:
        A `gradio.Blocks`, which `open_page` serves.
    """
    gradio = import_optional("gradio", "demo")
    first_picture, first_command = page.generate(page.defaults)
    first_image = page.sample(page.defaults)
    blocks = gradio.Blocks(
        title=f"keras_bld: {page.preset}",
        analytics_enabled=False,
        delete_cache=(3600, 3600),  # seconds
    )
    with blocks:
        gradio.Markdown(f"# {_plain(page.preset)}\n{page.description}", elem_classes="title")
        with gradio.Row():
            with gradio.Column(scale=3):
                pictures = gradio.Tabs()
            with gradio.Column(scale=2):
                fields = _fields(gradio, page)
        with pictures:
            _generate_tab(gradio, page, fields, first_picture, first_command)
            _watch_tab(gradio, page, fields)
            _inpaint_tab(gradio, page, fields, first_image)
            _upload_tab(gradio, page, fields)
            if page.store is not None:
                _nearest_tab(gradio, page, fields)
    return blocks


def open_page(blocks, host="127.0.0.1", port=None, block=True):
    """Serve the page.

    Nothing is loaded from another machine, and nothing is reported to one.

    Args:
        blocks: what `build_page` returned.
        host: the address to listen on; "0.0.0.0" for all addresses of this machine.
        port: None for the first free one from 7860.
        block: wait for Ctrl-C; False returns at once, `blocks.close()` ends it.

    Returns:
        The address, such as "http://127.0.0.1:7860/".

    Raises:
        OSError: the port is taken.
    """
    gradio = import_optional("gradio", "demo")
    fonts = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
    theme = gradio.themes.Default(primary_hue="orange", neutral_hue="gray", **fonts)
    # One button at a time: each uses all cores.
    blocks.queue(default_concurrency_limit=1)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        ssr_mode=False,
        theme=theme,
        css=_CSS,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size=f"{_MEGABYTES_OF_UPLOADS}mb",
    )
    if block:
        print(f"The page: {address} (Ctrl-C ends it)", flush=True)
        blocks.block_thread()
    return address


# Fields ------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Fields:
    """The components whose values make `PageSettings`, in the order of `names`."""

    names: list
    components: list

    def settings(self, values):
        given = dict(zip(self.names, values, strict=True))
        if "prompts" in given:
            lines = (line.strip() for line in (given["prompts"] or "").splitlines())
            given["prompts"] = tuple(line for line in lines if line)
        if "classes" in given:
            given["classes"] = tuple(given["classes"] or ())
        return PageSettings(**given)


def _fields(gradio, page):
    defaults, made = page.defaults, {}
    if page.class_choices:
        made["classes"] = gradio.Dropdown(
            page.class_choices,
            multiselect=True,
            label="Classes",
            info="Taken in turn; none chosen means all.",
        )
    if page.takes_text:
        made["prompts"] = gradio.Textbox(
            label="Words",
            info="One text a line, taken in turn; empty means one for each class.",
            placeholder="ripe lemons",
            lines=2,
        )
    made["num_images"] = gradio.Slider(1, MOST_IMAGES, defaults.num_images, step=1, label="Images")
    total = page.model.num_training_steps
    made["num_steps"] = gradio.Slider(
        1 if page.model.can_skip_steps else total,
        total,
        defaults.num_steps,
        step=1,
        label="Steps",
        info="A number that is new is compiled first.",
    )
    made["temperature"] = gradio.Slider(
        0.1,
        max(2.0, defaults.temperature),
        defaults.temperature,
        step=0.01,
        label="Temperature",
        info="Lower: less diverse.",
    )
    made["guidance_scale"] = gradio.Slider(
        0.0,
        max(10.0, defaults.guidance_scale),
        defaults.guidance_scale,
        step=0.1,
        label="Guidance",
        info="Higher: more of the class or the words.",
        visible=page.model.is_conditional,
    )
    made["seed"] = gradio.Number(
        defaults.seed, precision=0, label="Seed", info="The same seed gives the same images."
    )
    return _Fields(list(made), list(made.values()))


# Tabs --------------------------------------------------------------------------------------


def _generate_tab(gradio, page, fields, first_picture, first_command):
    with gradio.Tab("Generate"):
        with gradio.Row():
            button = gradio.Button("Generate", variant="primary")
            new_seed = gradio.Button("New seed")
        message = gradio.HTML(visible=False)
        picture = _picture(gradio, "Images", first_picture)
        lines = _lines(gradio, "The same on the command line", first_command)
    show = _answers(gradio, lambda *values: page.generate(fields.settings(values)), 2)
    outputs = [picture, lines, message]
    button.click(show, fields.components, outputs, **_EVENT)
    seed = fields.components[fields.names.index("seed")]
    new_seed.click(lambda: resolve_seed(None), None, seed, **_EVENT).then(
        show, fields.components, outputs, **_EVENT
    )


def _watch_tab(gradio, page, fields):
    with gradio.Tab("Denoise"):
        button = gradio.Button("Watch the bits", variant="primary")
        message = gradio.HTML(visible=False)
        picture = _picture(gradio, "From coin flips to an image")
        gradio.Markdown(
            "The first image at several steps, and its bits below: dark is 1, light is 0, "
            "orange flipped since the frame before."
        )
        lines = _lines(gradio, "The same in Python")
    show = _answers(gradio, lambda *values: page.watch(fields.settings(values)), 2)
    button.click(show, fields.components, [picture, lines, message], **_EVENT)


def _inpaint_tab(gradio, page, fields, first_image):
    with gradio.Tab("Inpaint"):
        image, line = gradio.State(first_image[0]), gradio.State(first_image[1])
        with gradio.Row():
            take = gradio.Button("Generated image")
            upload = gradio.UploadButton("Upload", file_types=["image"])
        message = gradio.HTML(visible=False)
        gradio.Markdown(
            "Paint over what is to be made anew. " + _WANTED * page.model.is_conditional
        )
        canvas = _canvas(first_image[0])
        height, width = canvas["background"].shape[:2]
        colour = f"#{bytes(ORANGE).hex()}"
        brush = gradio.Brush(max(8, width // 8), colors=[colour], color_mode="fixed")
        editor = gradio.ImageEditor(
            canvas,
            type="numpy",
            show_label=False,
            sources=(),
            transforms=(),
            layers=False,
            canvas_size=(width, height),
            fixed_canvas=True,
            brush=brush,
            buttons=[],
            format="png",
        )
        num_results = gradio.Slider(1, MOST_RESULTS, 4, step=1, label="Results")
        button = gradio.Button("Fill", variant="primary")
        picture = _picture(gradio, "Results")
        lines = _lines(gradio, "The same in Python")

    def fill(image, line, painting, num_results, *values):
        settings = fields.settings(values)
        return page.inpaint(settings, image, line, _strokes(painting), num_results)

    def put(image, line):
        return image, line, _canvas(image)

    on_canvas = [image, line, editor, message]
    button.click(
        _answers(gradio, fill, 2),
        [image, line, editor, num_results, *fields.components],
        [picture, lines, message],
        **_EVENT,
    )
    sample = _answers(gradio, lambda *values: put(*page.sample(fields.settings(values))), 3)
    take.click(sample, fields.components, on_canvas, **_EVENT)
    read = _answers(gradio, lambda path: put(*page.upload(path)), 3)
    upload.upload(read, upload, on_canvas, **_EVENT)


def _upload_tab(gradio, page, fields):
    with gradio.Tab("Uploads"):
        files = gradio.File(
            label=f"1 to {MOST_UPLOADS} images", file_count="multiple", file_types=["image"]
        )
        with gradio.Row():
            reconstruct = gradio.Button("Reconstruct", variant="primary")
            interpolate = gradio.Button("Interpolate")
        message = gradio.HTML(visible=False)
        picture = _picture(gradio, "Pictures")
        wanted = _WANTED if page.model.is_conditional else ""
        gradio.Markdown(f"Interpolation takes two images. {wanted}")
        lines = _lines(gradio, "The same in Python")
    outputs = [picture, lines, message]

    def frames(paths, *values):
        return page.interpolate(fields.settings(values), paths)

    reconstruct.click(_answers(gradio, page.reconstruct, 2), files, outputs, **_EVENT)
    interpolate.click(_answers(gradio, frames, 2), [files, *fields.components], outputs, **_EVENT)


def _nearest_tab(gradio, page, fields):
    with gradio.Tab("Nearest"):
        button = gradio.Button("Find the nearest training images", variant="primary")
        message = gradio.HTML(visible=False)
        picture = _picture(gradio, "Generated (left) and the nearest training codes, decoded")
        lines = _lines(gradio, "The same in Python")
    show = _answers(gradio, lambda *values: page.nearest(fields.settings(values)), 2)
    button.click(show, fields.components, [picture, lines, message], **_EVENT)


_WANTED = "The first class or text says what is wanted; without one, anything."

# What the tabs share -----------------------------------------------------------------------

# One queue for all buttons; none of them is offered as an API.
_EVENT = {"concurrency_id": "model", "api_visibility": "private"}


def _picture(gradio, label, value=None):
    return gradio.Image(
        value,
        label=label,
        format="png",
        type="pil",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_classes="picture",
    )


def _lines(gradio, label, value=""):
    return gradio.Textbox(
        value, label=label, lines=2, buttons=["copy"], interactive=False, elem_classes="copy"
    )


def _answers(gradio, function, num_outputs):
    """`function` with one output more: its error as text; the pictures stay as they were."""

    def answer(*values):
        try:
            return *function(*values), gradio.update(value="", visible=False)
        except (ValueError, TypeError, OSError, ImportError) as error:
            text = str(error)
        except Exception as error:
            traceback.print_exc()  # for whoever started the page
            text = f"{type(error).__name__}: {checks.reason_of(error)}"
        alert = f'<div class="message" role="alert">{html.escape(text)}</div>'
        return *[gradio.skip()] * num_outputs, gradio.update(value=alert, visible=True)

    return answer


def _canvas(image):
    return {"background": enlarged(image, _EDITOR_WIDTH), "layers": [], "composite": None}


def _strokes(painting):
    """Where somebody painted: the opacity of all layers; None where there are none."""
    layers = (painting or {}).get("layers") or ()
    return np.max([np.asarray(layer)[..., 3] for layer in layers], axis=0) if layers else None


def _plain(text):
    """A text in which Markdown finds nothing to do."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-!<>|" else letter for letter in text)
