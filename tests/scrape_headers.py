"""How Prometheus asks for metrics, and whether it can take the answer."""

from __future__ import annotations

# As scrape/scrape.go of these releases makes it. 3.x fails a scrape whose Content-Type it does not know; 2.x took
# anything for text.
ACCEPT = {
    "2.42": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "3.x": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "3.x, text alone": "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4",
}


def is_taken(content_type: str, body: str) -> bool:
    """Whether a strict scrape takes it: a type that is known, and a body of that type."""
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    version = dict(parameter.partition("=")[::2] for parameter in parameters).get("version")
    if kind == "application/openmetrics-text":
        return version in ("0.0.1", "1.0.0") and body.endswith("# EOF\n")
    return kind == "text/plain" and version in ("0.0.4", "1.0.0") and "# EOF" not in body
