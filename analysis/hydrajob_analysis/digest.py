"""The digest that stands behind a store's HDF5 data (docs/store.md, Storage): XXH3-64 with seed 0, in numpy.

HDF5 reads some damaged files as other numbers, without a word.
"""

import numpy as np

from .schema import StoreError

MARK = b"hydrajob-digest "  # then 16 hexadecimal characters
SEAL_BYTES = 32

# xxHash's specification (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): constants and names as there.
SECRET = np.frombuffer(bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"), dtype=np.uint8)
PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
STRIPE_BYTES, BLOCK_STRIPES = 64, 16
BLOCK_BYTES = STRIPE_BYTES * BLOCK_STRIPES
BLOCKS_AT_ONCE = 4096
LEAST_BYTES = 241  # shorter ones have formulas of their own; no HDF5 file is so short
MASK = (1 << 64) - 1


def _secret(begin):
    """Eight words of the secret from a byte on."""
    return np.frombuffer(SECRET.tobytes()[begin:begin + STRIPE_BYTES], dtype="<u8")


def _added(stripes, secrets):
    """What stripes (…, 8 words) add to the accumulators; sums wrap at 2^64."""
    keyed = stripes ^ secrets
    products = (keyed & np.uint64(0xFFFFFFFF)) * (keyed >> np.uint64(32))
    return products + stripes[..., [1, 0, 3, 2, 5, 4, 7, 6]]


def xxh3_64(data):
    """Of more than 240 bytes."""
    if len(data) < LEAST_BYTES:
        raise ValueError(f"{len(data)} bytes, expected {LEAST_BYTES} or more")
    acc = np.array([PRIME32[2], *PRIME64[:4], PRIME32[1], PRIME64[4], PRIME32[0]], dtype=np.uint64)
    secrets = np.stack([_secret(8 * i) for i in range(BLOCK_STRIPES)])
    n_blocks = (len(data) - 1) // BLOCK_BYTES
    for first in range(0, n_blocks, BLOCKS_AT_ONCE):
        n = min(BLOCKS_AT_ONCE, n_blocks - first)
        words = np.frombuffer(data, dtype="<u8", count=n * BLOCK_BYTES // 8, offset=first * BLOCK_BYTES)
        for added in _added(words.reshape(n, BLOCK_STRIPES, 8), secrets).sum(axis=1, dtype=np.uint64):
            acc = acc + added
            acc = (acc ^ (acc >> np.uint64(47)) ^ _secret(128)) * np.uint64(PRIME32[0])
    n_stripes = (len(data) - 1 - n_blocks * BLOCK_BYTES) // STRIPE_BYTES
    words = np.frombuffer(data, dtype="<u8", count=n_stripes * 8, offset=n_blocks * BLOCK_BYTES)
    acc = acc + _added(words.reshape(n_stripes, 8), secrets[:n_stripes]).sum(axis=0, dtype=np.uint64)
    acc = acc + _added(np.frombuffer(data, dtype="<u8", count=8, offset=len(data) - STRIPE_BYTES), _secret(121))
    return _merged([int(word) for word in acc], [int(word) for word in _secret(11)], len(data))


def _merged(acc, secret, n_bytes):
    total = n_bytes * PRIME64[0]
    for i in range(0, 8, 2):
        product = (acc[i] ^ secret[i]) * (acc[i + 1] ^ secret[i + 1])
        total += (product & MASK) ^ (product >> 64)
    total &= MASK
    total = ((total ^ (total >> 37)) * 0x165667919E3779F9) & MASK
    return total ^ (total >> 32)


def check_digest(path):
    """Throws StoreError where the file ends with a digest that is not its own. A file without one, which another program
    wrote or changed, is taken as it is. Returns the digest, or None."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    seal = data[-SEAL_BYTES:]
    if len(data) < SEAL_BYTES or not seal.startswith(MARK):
        return None
    content = memoryview(data)[:-SEAL_BYTES]
    if len(content) < LEAST_BYTES:
        raise StoreError(f"{path}: damaged: {len(content)} bytes are no HDF5 file")
    found, expected = f"{xxh3_64(content):016x}".encode(), seal[len(MARK):]
    if found != expected:
        raise StoreError(f"{path}: damaged: its digest is {found.decode()}, expected {expected.decode(errors='replace')}")
    return expected.decode()
