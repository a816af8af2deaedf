"""What was posted to a callback address, as fields: JSON, or a form of either kind, whatever the header says."""

import re
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from typing import Final
from urllib.parse import parse_qsl

from .decoding import Fields, decode
from .errors import Gibberish

MAX_FORM_FIELDS: Final = 100
_MAX_PART_HEADER_BYTES: Final = 2000
_BOUNDARY_PARAMETER: Final = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
_FIRST_DELIMITER: Final = re.compile(rb"\s*--([^\r\n]{1,70}?)[ \t]*\r?\n")


def posted_fields(body: bytes, content_type: str) -> object:
    """Return the posted document; raises Gibberish for what is neither JSON nor a form."""
    try:
        return decode(body)
    except Gibberish as error:
        pairs = _multipart(body, content_type) or _url_encoded(body)
        if not pairs:
            raise Gibberish(error.message) from None
    fields: dict[str, object] = {}
    for name, value in pairs:
        outer, _, inner = name.partition("[")
        if inner:  # data[status]=1, as PHP spells nested fields
            group = fields.setdefault(outer, Fields([]))
            if isinstance(group, Fields):
                group.update(Fields([(inner.rstrip("]"), value)]))
        else:
            fields[name] = value
    return Fields(list(fields.items()))


def _url_encoded(body: bytes) -> list[tuple[str, str]]:
    source = body.decode("utf-8", "replace").strip()
    try:
        return parse_qsl(source, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS) if "=" in source else []
    except ValueError:
        return []


def _multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the fields of a `multipart/form-data` body (RFC 7578), [] for any other.

    The boundary is the header's; where the header has none that occurs, the body's own first line tells it. A part is
    read by its own header alone, never as parts of parts.
    """
    delimiter = _delimiter(body, content_type)
    if delimiter is None:
        return []
    pairs = []
    for part in body.split(delimiter, MAX_FORM_FIELDS + 1)[1 : MAX_FORM_FIELDS + 1]:
        if part.startswith(b"--"):
            break  # the closing delimiter
        header, blank, _ = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        if not blank or len(header) > _MAX_PART_HEADER_BYTES:
            continue
        message = BytesHeaderParser().parsebytes(part.lstrip(b"\r\n"))
        name = message.get_param("name", header="content-disposition")
        value = message.get_payload(decode=True)
        if name and isinstance(value, bytes):
            value = value.removesuffix(b"\n").removesuffix(b"\r")
            pairs.append((collapse_rfc2231_value(name), value.decode("utf-8", "replace")))
    return pairs


def _delimiter(body: bytes, content_type: str) -> bytes | None:
    parameter = _BOUNDARY_PARAMETER.search(content_type)
    if parameter:
        named = b"--" + (parameter[1] or parameter[2]).encode("utf-8", "replace")
        if named in body:
            return named
    first = _FIRST_DELIMITER.match(body)
    return b"--" + first[1] if first else None
