"""The application: paths, answers and errors of the service."""

import asyncio
import base64
import contextlib

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from keras_bld.base import checks
from keras_bld.base.version import __version__
from keras_bld.serving.service import metrics as metrics_text
from keras_bld.serving.service.access import Access
from keras_bld.serving.service.logs import log
from keras_bld.serving.service.metrics import Metrics
from keras_bld.serving.service.page import api_page
from keras_bld.serving.service.requests import (
    CodesAnswer,
    ErrorAnswer,
    ImagesAnswer,
    PresetsAnswer,
    RequestModels,
)
from keras_bld.serving.service.supervisor import BusyError, LostError, RefusedError

_ERRORS = {
    400: "The body is no JSON.",
    401: "The API key is missing or wrong.",
    408: "The body did not come in time.",
    413: "The body is too long.",
    422: "A field is not as described; the message says which and why.",
    429: "The queue is full; `Retry-After` says when to come again.",
    503: "The service ends, or its worker is being started again; come again.",
    504: "It took longer than the service's time limit.",
}
_PNG = {"description": "Pictures; a PNG where `Accept` names image/png.", "content": {
    "image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}}  # fmt: skip


class Service:
    """The paths of the service around one supervisor.

    Args:
        program: the `Program` that is served.
        settings: `ServiceSettings`.
        supervisor: a `Supervisor`.
        api_key: what requests must bring, or None.
    """

    def __init__(self, program, settings, supervisor, api_key=None):
        self._description = program.description
        self._num_training_steps = program.num_training_steps
        self._settings = settings
        self._supervisor = supervisor
        self._models = RequestModels(program, settings)
        self._metrics = Metrics(supervisor)
        self._api_key = api_key
        self.is_ending = False

    def application(self):
        """The ASGI application."""
        name = self._description["preset"]
        app = FastAPI(
            title=f"keras_bld: {name}",
            description=f"Images of the preset {name}, and their codes.",
            version=__version__,
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
        )
        self._add_work(app)
        self._add_state(app)
        app.add_exception_handler(RequestValidationError, _on_invalid)
        app.add_exception_handler(HTTPException, _on_http_error)
        app.add_exception_handler(Exception, _on_exception)
        if self._api_key is not None:
            _declare_key(app)
        paths = {route.path for route in app.routes}
        return Access(app, self._settings.max_body_bytes, self._api_key, self._metrics, paths)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _):
        self._supervisor.start()
        yield
        self.is_ending = True
        await self._supervisor.stop()

    # Work ----------------------------------------------------------------------------------

    def _add_work(self, app):
        models = self._models

        def path(name, summary, answer, is_picture):
            responses = {status: {"model": ErrorAnswer, "description": words}
                         for status, words in _ERRORS.items()}  # fmt: skip
            if self._api_key is None:
                del responses[401]
            if is_picture:
                responses[200] = _PNG
            return app.post(
                f"/v1/{name}", summary=summary, response_model=answer, responses=responses
            )

        @path("generate", "Make new images", ImagesAnswer, True)
        async def generate(request: Request, body: models.generate):  # type: ignore[name-defined]
            """Make new images. Image i depends on the seed, the settings and i alone."""
            return await self._images(request, *models.of_generate(body))

        @path("inpaint", "Fill the light part of a mask", ImagesAnswer, True)
        async def inpaint(request: Request, body: models.inpaint):  # type: ignore[name-defined]
            """Fill the light part of a mask with new content; the rest of the image stays."""
            return await self._images(request, *models.of_inpaint(body))

        @path("encode", "Turn images into codes", CodesAnswer, False)
        async def encode(request: Request, body: models.encode):  # type: ignore[name-defined]
            """Turn images into codes: bits, channels last, eight to a byte, the lowest first."""
            answer = await self._answer(request, *models.of_encode(body))
            if isinstance(answer, Response):
                return answer
            return {"codes": answer[0]["codes"], "code_shape": self._description["code_shape"]}

        @path("decode", "Turn codes into images", ImagesAnswer, True)
        async def decode(request: Request, body: models.decode):  # type: ignore[name-defined]
            """Turn codes, as `encode` gives them, into images."""
            return await self._images(request, *models.of_decode(body))

    async def _images(self, request, header, blobs, cost):
        as_sheet = "image/png" in request.headers.get("accept", "")
        answer = await self._answer(request, {**header, "as_sheet": as_sheet}, blobs, cost)
        if isinstance(answer, Response):
            return answer
        _, pictures = answer
        seed = header.get("seed")
        if as_sheet:
            headers = {} if seed is None else {"x-seed": str(seed)}
            return Response(pictures[0], media_type="image/png", headers=headers)
        return {"images": [base64.b64encode(each).decode() for each in pictures], "seed": seed}

    async def _answer(self, request, header, blobs, cost):
        """(fields, blobs) of the worker, or the response that says why there are none."""
        if self.is_ending:
            return _error(503, "the service is ending", retry_after=1)
        seconds = self._settings.timeout
        try:
            number, future = self._supervisor.submit(header, blobs, cost, seconds)
        except BusyError as busy:
            return _error(429, f"the queue is full, come again in {busy.seconds} s", busy.seconds)
        gone = asyncio.create_task(_until_gone(request))
        try:
            await asyncio.wait({future, gone}, timeout=seconds, return_when="FIRST_COMPLETED")
            if future.done():
                answer = future.result()
                self._metrics.count_images(cost)
                return answer
            if gone.done():
                log("client gone", request=request.state.request)
                return Response(status_code=499)
            if not self._supervisor.is_ready:
                return _error(503, "the worker is being started, come again", retry_after=2)
            return _error(504, f"it took longer than {seconds:g} s")
        except RefusedError as refused:
            return _error(422, str(refused))
        except LostError:
            return _error(503, "the worker died over this request, twice", retry_after=5)
        finally:
            gone.cancel()
            self._supervisor.drop(number)

    # State ---------------------------------------------------------------------------------

    def _add_state(self, app):
        not_ready = {503: {"model": ErrorAnswer, "description": "It is not."}}
        no_key = {401: {"model": ErrorAnswer, "description": _ERRORS[401]}}
        locked = {} if self._api_key is None else no_key

        @app.get("/v1/presets", response_model=PresetsAnswer, responses=locked)
        async def presets():
            """What the service makes images with."""
            keys = "image_shape code_shape condition class_names sampling about files".split()
            preset = {key: self._description[key] for key in keys}
            preset["name"] = self._description["preset"]
            preset["num_training_steps"] = self._num_training_steps
            return {"presets": [preset]}

        @app.get("/health/live")
        async def live() -> dict[str, str]:
            """Whether the process answers."""
            return {"status": "live"}

        @app.get("/health/ready", responses=not_ready)
        async def ready() -> dict[str, str]:
            """Whether requests are answered at once."""
            if self.is_ending or not self._supervisor.is_ready:
                return _error(503, self._supervisor.failure or "the worker is not ready")
            return {"status": "ready"}

        text = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

        @app.get("/metrics", response_class=Response, responses={**text, **locked})
        async def metrics():
            """Counters in the text format of Prometheus."""
            return Response(self._metrics.text(), media_type=metrics_text.CONTENT_TYPE)

        @app.get("/docs", include_in_schema=False)
        async def docs():
            example = {"count": 2, "seed": 7}
            return HTMLResponse(api_page(app.openapi(), {"/v1/generate": example}))

        @app.get("/", include_in_schema=False)
        async def front():
            return RedirectResponse("/docs")


async def _until_gone(request):
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _error(status, message, retry_after=None):
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    content = {"error": {"message": checks.printable(message)}}
    return JSONResponse(content, status_code=status, headers=headers)


async def _on_invalid(_, invalid):
    """What is wrong, field by field; nothing of the body comes back."""
    found = [
        f"{'.'.join(str(part) for part in each['loc'][1:]) or 'body'}: {each['msg']}"
        for each in invalid.errors()[:5]
    ]
    return _error(422, "; ".join(found)[:2000])


async def _on_http_error(_, error):
    response = _error(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _on_exception(request, error):
    if isinstance(error, ValueError):
        return _error(422, str(error))
    log("exception", level="error", request=request.state.request, kind=type(error).__name__)
    return _error(500, "the service failed; its log says more")


def _declare_key(app):
    """Say in the OpenAPI document that work needs the key."""
    make = app.openapi

    def openapi():
        document = make()
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            if path.startswith("/v1") or path == "/metrics":
                for operation in operations.values():
                    operation["security"] = [{"key": []}]
        return document

    app.openapi = openapi
