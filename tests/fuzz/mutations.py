"""Damage: what chance, or somebody who means it, does to bytes, JSON and archives."""

import copy
import io
import json
import struct
import warnings
import zipfile
import zlib

EXTREMES = (0, 1, 255, 2**31 - 1, 2**31, 2**32 - 1, 10**9, 2**40, 2**63 - 1, 2**64 - 1)
WRONG = (
    None, True, False, -1, 0, 1, 2, 17, 0.5, -2.5, 1e308, float("nan"), float("inf"), 2**31, 10**9,
    10**12, 2**63, 10**30, "", "x", "²", "\x1b[31mred\x1b[0m [bold]x[/nope]\n", "../../etc/passwd",
    "a" * 100_000, [], {}, [[]], [1, 2], [1e9, 1e9, 1e9], [10**6, 10**6], {"class_name": "x"},
    {"class_name": "__tuple__", "items": [10**9] * 3}, {"class_name": "__numpy__", "config": {}},
    {"class_name": "Dense", "module": "keras.layers", "config": {"units": 10**9}},
    {"class_name": "Lambda", "module": "keras.layers", "config": {}},
    {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp"}},
    {"class_name": "StringLookup", "module": "keras.layers",
     "config": {"vocabulary": "/etc/passwd"}},
    {"class_name": "MelSpectrogram", "module": "keras.layers",
     "config": {"num_mel_bins": 10**5, "fft_length": 10**6}},
)  # fmt: skip
DEPTHS = (50, 900, 20_000, 200_000)


def damage_bytes(content, random):
    """Bytes with one or a few faults."""
    content = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        random.choice(_BYTE_FAULTS)(content, random)
    return bytes(content)


def _flip(content, random):
    for _ in range(random.choice((1, 1, 3, 30))):
        if content:
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def _truncate(content, random):
    del content[random.randrange(len(content) + 1) :]


def _insert(content, random):
    at = random.randrange(len(content) + 1)
    content[at:at] = random.randbytes(random.choice((1, 4, 100)))


def _remove(content, random):
    at = random.randrange(len(content) + 1)
    del content[at : at + random.choice((1, 4, 100, 1000))]


def _overwrite(content, random):
    at = random.randrange(len(content) + 1)
    length = min(random.choice((1, 8, 100)), len(content) - at)
    content[at : at + length] = random.choice((random.randbytes(length), bytes(length)))


def _repeat(content, random):
    at = random.randrange(len(content) + 1)
    part = content[at : at + random.choice((8, 100, 1000))]
    content[at:at] = part * random.choice((1, 2, 20))


def _number(content, random):
    """A size in a header becomes another."""
    order = random.choice("<>") + random.choice("HIQ")
    size = struct.calcsize(order)
    # Most headers stand at the start, that of a zip archive at the end.
    place = random.choice(("start", "end", "anywhere"))
    at = {
        "start": min(random.randrange(64), len(content)),
        "end": max(len(content) - random.randrange(1, 200), 0),
        "anywhere": random.randrange(len(content) + 1),
    }[place]
    content[at : at + size] = struct.pack(order, random.choice(EXTREMES) % 256**size)


def _random(content, random):
    content[:] = random.randbytes(random.choice((0, 1, 8, 100, 5000)))


_BYTE_FAULTS = (_flip, _flip, _truncate, _insert, _remove, _overwrite, _repeat, _number, _number,
                _random)  # fmt: skip


def damage_json(content, random, values=WRONG):
    """JSON text in which fields are removed, repeated, renamed, retyped, swapped or nested."""
    content = copy.deepcopy(content)
    special = random.random()
    if special < 0.04:
        depth = random.choice(DEPTHS)
        start, end = random.choice((("[", "]"), ('{"a":', "}")))
        nested = start * depth + "1" + end * depth
        text = json.dumps(content)
        place = random.choice(_places(content) or [None])
        if place is not None:
            place[0][place[1]] = "HERE"
            text = json.dumps(content)
        return text.replace('"HERE"', nested, 1)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = _places(content)
        if not places:
            break
        parent, key = random.choice(places)
        fault = random.randrange(8)
        if fault == 0:
            del parent[key]
        elif fault == 1 and isinstance(parent, dict):
            parent[random.choice(("x", "", "class_name", f"{key}s"))] = parent.pop(key)
        elif fault == 2:
            other, name = random.choice(places)
            # Not the same object: it could come to hold itself.
            parent[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else other[name])
        elif fault == 3 and isinstance(parent[key], (int, float)):
            parent[key] = parent[key] * random.choice((-1, 2, 1000, 10**6, 10**9, 0.5)) + 1
        elif fault == 4 and isinstance(parent[key], (list, str)):
            parent[key] = parent[key] * random.choice((0, 2, 1000))
        elif fault == 5:
            parent[key] = [parent[key]]
        else:
            parent[key] = copy.deepcopy(random.choice(values))
    text = json.dumps(content)
    if special > 0.97:  # a field twice, which json.dumps does not write
        return text[:-1] + "," + text[1:]
    if special > 0.95:
        return text.replace("1", "9" * 5000, 1)
    return text


def _places(content):
    """(container, key) of everything inside nested JSON."""
    found, waiting = [], [content]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            found.append((node, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return found


def json_file(path, random, values=WRONG):
    """Damage a JSON file as text or as bytes."""
    content = path.read_bytes()
    if random.random() < 0.8:
        path.write_text(damage_json(json.loads(content), random, values))
    else:
        path.write_bytes(damage_bytes(content, random))


def zeros_deflated(size):
    """A deflate stream of about `size` zero bytes: one piece of them, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // 2**20) + b"\3\0"  # an empty block, the last


def read_zip(content):
    """[(name, bytes)] of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def write_zip(members, compression=zipfile.ZIP_STORED):
    """Bytes of an archive of (name, bytes)."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of a name that stands there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def write_bomb(members, bomb_name, header=b"", size=400 * 2**20):
    """An archive whose member `bomb_name` is `header` and then zeros, deflated: it has `size`."""
    packed = zeros_deflated(size)
    stream = stored_block(header) + packed if header else packed
    local, central, offset = b"", b"", 0
    for name, content in members:
        is_bomb = name == bomb_name
        data = stream if is_bomb else content
        full = size + len(header) if is_bomb else len(content)
        method = 8 if is_bomb else 0
        checksum = 0 if is_bomb else zlib.crc32(content)
        fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, checksum, len(data), full,
                             len(name), 0)  # fmt: skip
        local += b"PK\3\4" + fields + name.encode() + data
        central += (b"PK\1\2" + struct.pack("<H", 20) + fields
                    + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name.encode())  # fmt: skip
        offset = len(local)
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    return local + central + b"PK\5\6" + end


def stored_block(content):
    """A deflate block that holds `content` as it is and is not the last."""
    return struct.pack("<BHH", 0, len(content), len(content) ^ 0xFFFF) + content


def damage_members(members, random, favourite):
    """An archive in which members are damaged, renamed, repeated, missing, or bombs."""
    places = [i for i, (name, _) in enumerate(members) if name.endswith(favourite)]
    place = random.choice(places if random.random() < 0.5 else range(len(members)))
    name, inside = members[place]
    fault = random.randrange(8)
    if fault < 3:
        members[place] = (name, _pickle_numbers(inside, random))
    elif fault == 3:
        del members[place]
    elif fault == 4:
        members.append((name, damage_bytes(inside, random)))
    elif fault == 5:
        members[place] = (random.choice(("x", "../../x", "a" * 60_000, members[0][0])), inside)
    elif fault == 6:
        header = inside if random.random() < 0.5 and len(inside) < 60_000 else b""
        return write_bomb(members, name, header)
    else:
        methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        return write_zip(members, random.choice(methods))
    return write_zip(members)


def _pickle_numbers(content, random):
    """Small integers of a pickle become others; or bytes are damaged."""
    if random.random() < 0.5:
        return damage_bytes(content, random)
    content = bytearray(content)
    places = [i for i, byte in enumerate(content[:-5]) if byte in b"KMJ"]
    if places:
        at = random.choice(places)
        old = {ord("K"): 2, ord("M"): 3, ord("J"): 5}[content[at]]
        number = random.choice((-1, 0, 2**31 - 1, 10**9, 3, 100))
        content[at : at + old] = b"J" + struct.pack("<i", number)
    return bytes(content)
