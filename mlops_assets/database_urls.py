"""URLs of databases: with the driver said out loud, and pointing at a schema of their own."""

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit


def explicit_driver(url: str) -> str:
    """`postgresql://` as the URL of psycopg2, which Dagster needs; SQLAlchemy 2.1 takes it for another driver's.

    Any other URL stays as it is.
    """
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


def in_schema(url: str, schema: str) -> str:
    """The URL of a PostgreSQL database whose tables are looked for, and made, in this schema.

    Dagster and MLflow have tables with the same names, so that they cannot share one.
    """
    place, _, query = url.partition("?")
    options = dict(parse_qsl(query))
    options["options"] = f"{options.get('options', '')} -csearch_path={schema}".strip()
    return f"{place}?{urlencode(options, quote_via=quote)}"


def schema_of(url: str) -> str | None:
    """The schema that `in_schema` has put into it."""
    options = dict(parse_qsl(url.partition("?")[2])).get("options", "")
    schemas = re.findall(r"-c\s*search_path=(\w+)", options)
    return schemas[-1] if schemas else None


def without_credentials(url: str) -> str:
    """Where the URL points, without who asks there."""
    return re.sub(r"^([\w+.-]+://)[^/?#]*@", r"\1", url)


def redact(uri: str, text: str) -> str:
    """`text` without the password and the query of `uri`."""
    parts = urlsplit(uri)
    secrets = {parts.password, unquote(parts.password or ""), parts.query}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
