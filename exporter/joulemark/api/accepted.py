"""Says in words what a field takes, from the model's own JSON schema: a refusal always names what would do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

# No control characters: they would break a line of a log, a table, or a page of metrics.
PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_TYPES = {"string": "text", "boolean": "true or false", "integer": "a whole number", "number": "a number"}


def accepted_at(model: type[BaseModel], location: Sequence[str | int], *, key: bool = False) -> str:
    """What the field at this place of a body takes; for a place that is none, the fields that there are.

    With `key` it is the name at this place that is wrong, and not what it holds.
    """
    schema: dict[str, Any] = model.model_json_schema()
    for part in location[:-1] if key else location:
        schema = _without_null(schema)
        inner = schema.get("properties", {}).get(part) or schema.get("items") or schema.get("additionalProperties")
        if isinstance(part, str) and part not in _names(schema, part):
            return _known(schema)
        if not isinstance(inner, dict):
            return _known(schema)
        schema = inner
    if key:
        return f"name it with {_words({'type': 'string', **_without_null(schema).get('propertyNames', {})})}"
    return _known(schema) if "properties" in schema else f"use {_words(schema)}"


def example_of(model: type[BaseModel]) -> str:
    """A short body that would be accepted."""
    schema = model.model_json_schema()
    names = schema.get("required") or list(schema["properties"])[:1]
    return json.dumps({name: _example(schema["properties"][name]) for name in names}, separators=(",", ":"))


def _names(schema: dict[str, Any], part: str) -> Sequence[str]:
    """The keys that an object may have; any when it says nothing of them."""
    if "properties" in schema:
        return list(schema["properties"])
    allowed: Sequence[str] = schema.get("propertyNames", {}).get("enum", [part])
    return allowed


def _known(schema: dict[str, Any]) -> str:
    names = schema.get("properties") or schema.get("propertyNames", {}).get("enum") or ()
    return "use an object with " + ", ".join(names) if names else f"use {_words(schema)}"


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next((x for x in schema.get("anyOf", ()) if x.get("type") != "null"), schema)
    return found


def _words(schema: dict[str, Any]) -> str:
    optional = "anyOf" in schema or "default" in schema
    schema = _without_null(schema)
    words: str
    if "enum" in schema:
        words = ", ".join(schema["enum"][:-1]) + f" or {schema['enum'][-1]}"
    elif schema.get("type") == "array":
        words = f"a list of {_bounds(schema, 'Items')}{_words(schema['items'])}"
    elif schema.get("type") == "object":
        words = f"an object with at most {schema['maxProperties']} fields" if "maxProperties" in schema else "an object"
    else:
        length = _bounds(schema, "Length")
        words = _TYPES.get(schema.get("type", ""), "a value") + (f" of {length}characters" if length else "")
        words += " without control characters" if schema.get("pattern") == PRINTABLE else ""
        words += _range(schema)
    return words + (", or leave it out" if optional else "")


def _bounds(schema: dict[str, Any], what: str) -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    return "" if most is None else f"{least} to {most} "


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return "" if least is None or most is None else f" from {_plain(least)} to {_plain(most)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _example(schema: dict[str, Any]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    return schema.get("enum", [{}])[0]
