"""The page of the service's API, made from its OpenAPI document; nothing else is loaded."""

import html
import json

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse } td, th { padding: .2em .8em .2em 0; text-align: left;
vertical-align: top; border-bottom: 1px solid #ccc } code, pre { background: #f4f4f4 }
pre { padding: .6em; overflow: auto } @media (prefers-color-scheme: dark) {
body { background: #111; color: #ddd } code, pre { background: #222 } a { color: #8cf } }
"""


def api_page(document, examples):
    """Return the page as HTML.

    Args:
        document: the OpenAPI document, a dictionary.
        examples: path -> body of an example request.
    """
    title = html.escape(document["info"]["title"])
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
        f"<style>{_STYLE}</style><h1>{title}</h1>",
        f"<p>{html.escape(document['info']['description'])}</p>",
        "<p>For programs: <a href=openapi.json>openapi.json</a></p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(document, path, method, operation, examples.get(path)))
    return "".join(parts)


def _operation(document, path, method, operation, example):
    parts = [
        f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>",
        f"<p>{html.escape(operation.get('description') or operation['summary'])}</p>",
    ]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        needed = schema.get("required", ())
        rows = [
            f"<tr><td><code>{name}</code>{'' if name not in needed else ' (needed)'}"
            f"<td>{html.escape(_kind(field))}<td>{html.escape(_words(field))}"
            for name, field in schema["properties"].items()
        ]
        parts.append(f"<table><tr><th>field<th>kind<th>what it is{''.join(rows)}</table>")
    if example is not None:
        line = (
            f"curl -X POST -H 'content-type: application/json' -d '{json.dumps(example)}' URL{path}"
        )
        parts.append(f"<pre>{html.escape(line)}</pre>")
    answers = ", ".join(f"<code>{status}</code>" for status in operation["responses"])
    return "".join([*parts, f"<p>Answers: {answers}</p>"])


def _words(field):
    return field.get("description") or field.get("items", {}).get("description", "")


def _kind(field):
    """A schema in a few words."""
    for several in ("anyOf", "oneOf"):
        if several in field:
            kinds = [_kind(each) for each in field[several] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in field or "const" in field:
        names = field.get("enum", [field.get("const")])
        return "one of " + ", ".join(map(str, names[:10])) + (", ..." if len(names) > 10 else "")
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    limits = [f"{sign} {field[name]}" for name, sign in
              (("minimum", "from"), ("maximum", "to"), ("exclusiveMaximum", "below"))
              if name in field]  # fmt: skip
    return " ".join([field.get("format") or field.get("type", "value"), *limits])
