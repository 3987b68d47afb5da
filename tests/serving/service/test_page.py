import os
import shlex
import shutil
import subprocess

import documents
import pytest
from harness import PROJECT_ROOT
from serving.service.running import RunningService

from keras_bld.serving.service.page import api_page

pytestmark = pytest.mark.on_tensorflow
PAGE, ADDRESS = "docs/service.md", "http://127.0.0.1:8000/"


def test_a_page_shows_what_the_document_says():
    field = {"type": "integer", "minimum": 1, "description": "How <many>."}
    schema = {"properties": {"count": field}, "required": ["count"]}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}}
    post = {"summary": "Make", "requestBody": body, "responses": {"200": {}, "422": {}}}
    document = {
        "info": {"title": "a & b", "description": "What it is."},
        "paths": {"/make": {"post": post}},
        "components": {"schemas": {"Body": schema}},
    }
    page = api_page(document, {"/make": {"count": 1}})
    for words in ("a &amp; b", "POST /make", "How &lt;many&gt;.", "integer from 1", "(needed)",
                  "<code>422</code>"):  # fmt: skip
        assert words in page, words


@pytest.mark.slow
def test_the_blocks_of_the_manual_run(tmp_path, monkeypatch):
    """Those of Python and the calls of curl, with a service of the preset that the page names."""
    pytest.importorskip("fastapi")
    monkeypatch.chdir(tmp_path)
    service = RunningService("bld_digits_16", KERAS_BLD_CACHE=os.fspath(tmp_path / "cache"))
    try:
        service.worker()
        here = f"http://127.0.0.1:{service.port}/"
        for block in documents.code_blocks("python")[PAGE]:
            code = "\n" * (block.line - 1) + block.code.replace(ADDRESS, here)
            exec(compile(code, str(PROJECT_ROOT / PAGE), "exec"), {})
        calls = [
            words
            for block in documents.code_blocks("sh")[PAGE]
            for words in documents.command_lines(block.code)
            if words[0] == "curl"
        ]
        assert calls
        if shutil.which("curl"):
            for words in calls:
                call = shlex.join([*words, "--fail", "--silent"]).replace(ADDRESS, here)
                subprocess.run(call, shell=True, check=True)
            assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    finally:
        assert service.stop() == 0
