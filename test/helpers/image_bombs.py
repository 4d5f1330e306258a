"""Small files that claim, or unfold to, far more than they are."""

import struct
import zlib

import cv2
import numpy as np

EDGE = 30_000  # 900 megapixels, 2.7 GB


def png_chunk(kind, content, length=None):
    length = len(content) if length is None else length
    return struct.pack(">I", length) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, pixels, *others, bits=8, colours=2, interlaced=0):
    """A PNG of compressed `pixels`, with other chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlaced)
    chunks = [png_chunk(b"IHDR", header), *others, png_chunk(b"IDAT", pixels), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zeros(megabytes):
    """So many bytes of zero, compressed to a thousandth."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def jpeg(*flags):
    picture = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    return cv2.imencode(".jpg", picture, list(flags))[1].tobytes()


def with_size(data, width, height):
    """A JPEG that claims another size."""
    at = next(at for at in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if at > 0)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def app(number, size):
    return bytes((0xFF, 0xE0 + number)) + struct.pack(">H", size + 2) + b"\x11" * size


def jpeg_bombs():
    plain = with_size(jpeg(), EDGE, EDGE)
    progressive = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    return {
        "jpeg": plain,
        "jpeg with a fill byte": plain[:2] + b"\xff" + plain[2:],
        "jpeg with fill bytes before each marker": plain.replace(b"\xff\xc0", b"\xff\xff\xff\xff\xc0"),
        "jpeg after two APP1": plain[:2] + app(1, 600) + app(1, 600) + plain[2:],
        "jpeg after 200 kB of APPn": plain[:2] + app(2, 65_000) * 3 + plain[2:],
        "jpeg after bytes that are no marker": plain[:2] + b"what is this" + plain[2:],
        "jpeg, progressive": with_size(progressive, 65_500, 65_500),
        "jpeg of a thousand scans": progressive[:-2] + scan * 1000 + b"\xff\xd9",
        "jpeg with two sizes": jpeg()[:2] + plain[plain.index(b"\xff\xc0") :][:19] + jpeg()[2:],
    }


def png_bombs():
    row = zlib.compress(bytes(1 + 3 * 4))
    no_time = b"acTL", struct.pack(">II", 1 << 30, 0)
    frame = struct.pack(">IIIIIHHBB", 0, EDGE, EDGE, 0, 0, 1, 1, 0, 0)
    data = png_chunk(b"IDAT", row)
    claims = png_chunk(b"tEXt", b"x", length=0xFFFFFFFF)
    return {
        "png": png(EDGE, EDGE, zeros(3)),
        "png, thin": png(0x7FFFFFFF, 1, row),
        "png, interlaced": png(EDGE, EDGE, zeros(3), interlaced=1),
        "png with a chunk of 4 GB": png(4, 1, row, claims),
        "png with data of 4 GB": png(4, 1, row).replace(data, png_chunk(b"IDAT", row, length=0xFFFFFFFF)),
        "png with surplus data": png(4, 1, zeros(300)),
        "png, animated": png(EDGE, EDGE, row, png_chunk(*no_time), png_chunk(b"fcTL", frame)),
        "png of a million chunks": png(4, 1, row, png_chunk(b"tEXt", b"") * 1_000_000),
    }


def other_bombs():
    edge = str(EDGE).encode()
    tags = [(256, EDGE), (257, EDGE), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, EDGE), (279, 9)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    tiled = directory.replace(struct.pack("<HHII", 257, 4, 1, EDGE), struct.pack("<HHII", 257, 4, 1, 9))
    tiled += b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((322, 1 << 20), (323, 1 << 20))
    )
    box = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
    header = struct.pack(">I4sI4sIIHBBBB", 30, b"jp2h", 22, b"ihdr", EDGE, EDGE, 3, 7, 7, 0, 0)
    size = struct.pack(">HHIIIIIIIIH", 47, 0, EDGE, EDGE, 0, 0, EDGE, EDGE, 0, 0, 3) + b"\x07\x01\x01" * 3
    codestream = b"\xff\x4f\xff\x51" + size
    window = b"dataWindow\0box2i\0\x10\0\0\0" + struct.pack("<iiii", 0, 0, EDGE, EDGE)
    lossless = b"/" + struct.pack("<I", 16383 | 16383 << 14) + bytes(20)
    return {
        "jp2": box + header + struct.pack(">I", len(codestream) + 8) + b"jp2c" + codestream,
        "j2k": codestream + bytes(40),
        "gif": b"GIF89a"
        + struct.pack("<HH", 65535, 65535)
        + b"\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y " + edge + b" +X " + edge + b"\n" + bytes(40),
        "pfm": b"PF\n" + edge + b" " + edge + b"\n-1.0\n" + bytes(40),
        "pam": b"P7\nWIDTH " + edge + b"\nHEIGHT " + edge + b"\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(40),
        "ppm": b"P6 # no comment\n" + edge + b" " + edge + b"\n255\n" + bytes(40),
        "tiff": b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(40),
        "tiff of large tiles": b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags) + 2) + tiled + bytes(40),
        "webp": b"RIFF"
        + struct.pack("<I", 12 + len(lossless))
        + b"WEBPVP8L"
        + struct.pack("<I", len(lossless))
        + lossless,
        "exr": b"v/1\x01\x02\0\0\0" + window + bytes(80),
        "bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, EDGE, -EDGE, 1, 24, *[0] * 6)
        + bytes(40),
        "sun raster": struct.pack(">8I", 0x59A66A95, EDGE, EDGE, 24, 0, 1, 0, 0) + bytes(40),
        "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B" + bytes(200),
    }


def all_bombs():
    """Bytes by name."""
    return {**jpeg_bombs(), **png_bombs(), **other_bombs()}
