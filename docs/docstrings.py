"""Docstrings for the site: an example is shown as code (an extension of griffe, see mkdocs.yml)."""

import re
import textwrap

import griffe

# The example is the last section of a docstring.
EXAMPLE = re.compile(r"^Example:\n+(.*)\Z", re.DOTALL | re.MULTILINE)


class Examples(griffe.Extension):
    """Fences what begins with `>>>`, which Markdown would read as a quotation."""

    def on_object(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(found):
    return f"**Example**\n\n```pycon\n{textwrap.dedent(found[1]).strip()}\n```"
