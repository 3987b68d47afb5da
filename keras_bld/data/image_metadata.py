"""An image file without its metadata, for files whose pixels are good and whose metadata is not.

Pillow reads EXIF, XMP, texts and profiles before the pixels, and gives up on some damage in them.
Structures: JPEG (ITU-T T.81, annex B), PNG (W3C, 3rd edition, 5), WebP container (Google), AVIF
(ISO/IEC 14496-12, 8.11.6: the item list of a `meta` box).
"""

import math
import pathlib
import re
import struct

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
# Markers of JPEG: start of scan, those without a length, and metadata; of the latter JFIF (APP0)
# and Adobe (APP14) say how colours are coded, where they have their full size.
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_JPEG_METADATA = (*range(0xE0, 0xF0), 0xFE)
_COLOUR_CODING_SIZE = {0xE0: 18, 0xEE: 14}
_WEBP_PICTURE = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC profile, EXIF, XMP
_AVIF_EXIF_ITEM = re.compile(rb"(infe[\2\3].{7})Exif", re.DOTALL)


def without_metadata(file):
    """Return the bytes of a JPEG, PNG, WebP or AVIF file without metadata; None for others.

    What decides the colour of pixels (JFIF, Adobe's transform, PNG's transparency) stays.

    Args:
        file: path, or open binary file.
    """
    if hasattr(file, "read"):
        file.seek(0)
        content = file.read()
    else:
        content = pathlib.Path(file).read_bytes()
    try:
        if content.startswith(_JPEG):
            return _strip_jpeg(content)
        if content.startswith(_PNG):
            return _strip_png(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _strip_webp(content)
    except (struct.error, IndexError):
        return None  # cut off amid the structure: no pixels to be had
    if content[4:8] == b"ftyp":
        # What the list does not call EXIF is not read as EXIF.
        return _AVIF_EXIF_ITEM.sub(rb"\1none", content)
    return None


def _strip_jpeg(content):
    kept, position = [_JPEG], 2
    while True:
        if content[position] != 0xFF:
            return None
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            end = position + 2
        else:
            end = position + 2 + struct.unpack_from(">H", content, position + 2)[0]
        colours = end - position >= _COLOUR_CODING_SIZE.get(marker, math.inf)
        if marker == _START_OF_SCAN:
            return b"".join([*kept, content[position:]])
        if marker not in _JPEG_METADATA or colours:
            kept.append(content[position:end])
        position = end


def _strip_png(content):
    kept, position = [_PNG], len(_PNG)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        # A capital first letter: without this chunk there is no picture.
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(content[position:end])
        position = end
    return b"".join(kept)


def _strip_webp(content):
    kept, position = [], 12
    while position + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, position)
        end = position + 8 + length + length % 2
        if kind in _WEBP_PICTURE:
            chunk = bytearray(content[position:end])
            if kind == b"VP8X":
                chunk[8] &= ~_WEBP_METADATA_FLAGS
            kept.append(bytes(chunk))
        position = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body
