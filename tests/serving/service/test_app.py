"""The service as its users see it: every path, its limits, and what it says of bad requests."""

import base64
import http.client
import io
import json
import random
import time

import numpy as np
import pytest
from PIL import Image
from serving.service.sent_pictures import mask_of, picture, pixels_of

pytestmark = pytest.mark.on_tensorflow


def test_images_depend_on_the_seed_alone(service):
    both = service.post("/v1/generate", count=2, seed=3, labels=["gray", 2])
    again = service.post("/v1/generate", count=2, seed=3, labels=["gray", "light"])
    first = service.post("/v1/generate", count=1, seed=3, labels=1)
    assert both == again and both["seed"] == 3 and first["images"] == both["images"][:1]
    other = service.post("/v1/generate", count=2, labels=["gray", 2], steps=2, temperature=0.5,
                         guidance=2.0)  # fmt: skip
    assert other["images"] != both["images"] and 0 <= other["seed"] < 2**31
    image = pixels_of(both["images"][0])
    assert image.shape == (16, 16) and image.std() > 1


def test_images_are_those_of_the_library(service, served_model):
    served_model.compile_for_inference()
    expected = served_model.generate(3, labels=[0, 1, 2], seed=5)[..., 0]
    served_model.compile_for_inference(None)
    made = service.post("/v1/generate", count=3, seed=5)
    images = np.stack([pixels_of(image) for image in made["images"]]) / 255.0
    # In bfloat16 a bit may differ here and there.
    assert np.mean(np.abs(images - expected) > 0.02) < 0.1


def test_codes_there_and_back(service):
    pictures = [picture(seed, (30, 20), kind, "RGB") for seed, kind in enumerate(("PNG", "JPEG"))]
    encoded = service.post("/v1/encode", images=pictures)
    assert encoded["code_shape"] == [8, 8, 4] and len(encoded["codes"]) == 2
    decoded = service.post("/v1/decode", codes=encoded["codes"])
    assert decoded["seed"] is None and pixels_of(decoded["images"][1]).shape == (16, 16)
    (alone,) = service.post("/v1/decode", codes=encoded["codes"][1:])["images"]
    assert alone == decoded["images"][1]


def test_inpainting_keeps_what_is_dark_in_the_mask(service):
    body = {"image": picture(), "mask": mask_of(rows=8), "count": 2, "seed": 1}
    made = service.post("/v1/inpaint", **body)
    images = [pixels_of(image) for image in made["images"]]
    given = pixels_of(body["image"])
    for image in images:
        np.testing.assert_array_equal(image[8:], given[8:])
        assert (image[:8] != given[:8]).mean() > 0.5
    assert service.post("/v1/inpaint", **body) == made
    asked = service.post("/v1/inpaint", **body, labels="dark", guidance=1.0)
    assert asked["images"] != made["images"]


def test_png_for_those_who_ask(service):
    body = {"count": 4, "seed": 1}
    status, headers, content = service.ask("POST", "/v1/generate", body, accept="image/png")
    assert status == 200 and headers["content-type"] == "image/png" and headers["x-seed"] == "1"
    assert Image.open(io.BytesIO(content)).size == (38, 38)


def test_state(service):
    (preset,) = service.ask("GET", "/v1/presets")[2]["presets"]
    assert preset["name"] == "shapes" and preset["class_names"] == ["dark", "gray", "light"]
    assert service.ask("GET", "/health/live")[2] == {"status": "live"}
    assert service.ask("GET", "/health/ready")[2] == {"status": "ready"}
    service.post("/v1/generate", count=3)
    metrics = service.metrics()
    assert metrics["keras_bld_images_total"] >= 3 and metrics["keras_bld_worker_starts"] == 1
    assert metrics['keras_bld_requests_total{path="/v1/generate",status="200"}'] >= 1
    status, headers, page = service.ask("GET", "/docs")
    assert status == 200 and b"POST /v1/inpaint" in page and b"one of dark, gray" in page
    assert b"http" not in page.replace(b"http-equiv", b"").replace(b"HTTP", b"")
    document = service.ask("GET", "/openapi.json")[2]
    assert set(document["paths"]["/v1/generate"]["post"]["responses"]) >= {"200", "422", "429"}


PATHS = [f"/v1/{name}" for name in ("generate", "inpaint", "encode", "decode")]
NO_PICTURES = ["", "****", "aGVsbG8=", "/etc/passwd", "http://x/y.png", "\ud800"]
BAD = [
    ({"count": 0}, "count"),
    ({"count": 17}, "count"),
    ({"count": True}, "count"),
    ({"count": "1"}, "count"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**31}, "seed"),
    ({"steps": 5}, "steps"),
    ({"steps": 0}, "steps"),
    ({"temperature": 0}, "temperature"),
    ({"guidance": -0.1}, "guidance"),
    ({"labels": 3}, "labels"),
    ({"labels": "blue"}, "labels"),
    ({"labels": []}, "labels"),
    ({"path": "/etc/passwd"}, "path"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_field_out_of_range_is_named(service, body, field):
    status, _, answer = service.ask("POST", "/v1/generate", body)
    assert status == 422 and field in answer["error"]["message"]


@pytest.mark.parametrize(
    "image", ["", "****", "aGVsbG8=", "/etc/passwd", "http://x/y.png", "\ud800"]
)
def test_a_picture_that_is_none_is_refused(service, image):
    for path, body in (
        ("/v1/encode", {"images": [picture(), image]}),
        ("/v1/inpaint", {"image": picture(), "mask": image}),
    ):
        status, _, answer = service.ask("POST", path, body)
        assert status == 422 and answer["error"]["message"], answer


def malformed(generator):
    """A body that is wrong in one of many ways."""
    good = {"count": 1, "seed": 1, "steps": 1, "labels": 0, "temperature": 1.0}
    text = json.dumps(good).encode()
    place = generator.randrange(1, len(text) - 1)
    junk = [None, [], {}, "x", -1, 1e400, float("nan"), 2**200, True, [[]], "\ud800", "\0"]
    field = generator.choice([name for name in good])
    odd = {**good, field: generator.choice([each for each in junk if each is not None])}
    if (field, odd[field]) in (("temperature", 1), ("labels", 1)) or odd[field] is True:
        odd[field] = {"a": 1}
    return generator.choice([
        lambda: text[:place],
        lambda: bytes(generator.randrange(256) for _ in range(generator.randrange(1, 200))),
        lambda: b"[" * generator.choice([10, 10_000]),
        lambda: b'{"count":' * generator.choice([10, 10_000]),
        lambda: json.dumps(odd).encode(),
        lambda: json.dumps({**good, generator.choice(["x", "", "file"]): 1}).encode(),
        lambda: b'{"count": ' + b"9" * generator.choice([20, 5000]) + b"}",
        lambda: json.dumps([good]).encode(),
        lambda: b"null",
        lambda: b"",
        lambda: text.replace(b"1", b"\xff", 1),
        lambda: b"\xef\xbb\xbf\0" + text,
    ])()  # fmt: skip


def answers_to_malformed(service, count):
    generator = random.Random(0)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    found = []
    for _ in range(count):
        body, path = (
            malformed(generator),
            generator.choice(["generate", "inpaint", "encode", "decode"]),
        )
        connection.request("POST", f"/v1/{path}", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        found.append((answer.status, body, json.loads(answer.read())))
    connection.close()
    return found


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_malformed_bodies_get_a_4xx(service, count):
    found = answers_to_malformed(service, count)
    assert len(found) == count
    assert [each for each in found if not 400 <= each[0] < 500] == []
    assert all(answer["error"]["message"] for _, _, answer in found)
    assert service.post("/v1/generate", seed=1)["images"]


def test_other_paths_methods_and_kinds_of_body(service):
    assert service.ask("GET", "/v1/nothing")[0] == 404
    status, headers, answer = service.ask("GET", "/v1/generate")
    assert status == 405 and headers["allow"] == "POST" and answer["error"]["message"]
    # What a form of a web page elsewhere could send without asking.
    kind = {"content_type": "text/plain"}
    assert service.ask("POST", "/v1/generate", raw=b'{"count": 1}', **kind)[0] == 422


def test_a_full_queue_is_429_and_a_client_gone_leaves_it(service):
    """64 images may wait here."""
    slow = json.dumps({"count": 16, "steps": 4, "guidance": 2.0}).encode()
    waiting = []
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", service.port)
        connection.request("POST", "/v1/generate", slow, {"content-type": "application/json"})
        waiting.append(connection)
    seen = [service.ask("POST", "/v1/generate", {"count": 16}) for _ in range(6)]
    for connection in waiting:
        connection.close()
    refused = [answer for answer in seen if answer[0] == 429]
    assert refused and {answer[0] for answer in seen} <= {200, 429}
    assert int(refused[0][1]["retry-after"]) >= 1
    end = time.monotonic() + 30
    while service.metrics()["keras_bld_queued_images"] and time.monotonic() < end:
        time.sleep(0.05)
    assert service.metrics()["keras_bld_queued_images"] == 0
    assert base64.b64decode(service.post("/v1/generate")["images"][0])
