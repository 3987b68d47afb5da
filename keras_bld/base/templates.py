"""Texts made from templates: wordings of thousands of classes without thousands of lists."""

import string

from keras_bld.base import checks


def fill_templates(templates, fields):
    """Return the texts of each class: every template with the class's fields put in.

    Args:
        templates: sequence of str with field names in braces, such as "{name}, {style} style".
        fields: dictionary of a field's name -> its values, one str for each class.

    Returns:
        For each class a tuple of its distinct texts, in the templates' order.

    Raises:
        ValueError: a template with a field that is not there, or with a brace that is left open;
            fields of different lengths.

    Example:
        >>> fill_templates(["{name}", "a {style} {name}"], {"name": ["cat"], "style": ["flat"]})
        [('cat', 'a flat cat')]
    """
    templates = list(templates)
    counts = {name: len(values) for name, values in fields.items()}
    if len(set(counts.values())) != 1:
        raise checks.error(
            "fields",
            f"numbers of values {counts}" if counts else "no fields",
            "one value of every field for each class",
            "give all fields the same length",
        )
    for template in templates:
        _check_template(template, fields)
    rows = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    return [tuple(dict.fromkeys(form.format(**row) for form in templates)) for row in rows]


def template_fields(template, argument="templates"):
    """The names of the fields in a template.

    Raises:
        ValueError: braces that are no field's.
    """
    try:
        found = [field for _, field, _, _ in string.Formatter().parse(template)]
    except ValueError as error:
        raise _template_error(argument, f"{template!r} ({error})") from error
    named = [field for field in found if field is not None]
    if not all(field.isidentifier() for field in named):
        raise _template_error(argument, repr(template))
    return named


def _template_error(argument, received):
    return checks.error(
        argument,
        received,
        "text with the names of fields in braces",
        "write e.g. '{name}, {style} style'; '{{' stands for a brace",
    )


def _check_template(template, fields):
    for field in template_fields(template):
        if field not in fields:
            raise checks.error(
                "templates",
                f"{template!r}, with the field {field!r}",
                f"fields among {', '.join(map(repr, fields))}",
                "correct the name in braces, or add the field",
            )
