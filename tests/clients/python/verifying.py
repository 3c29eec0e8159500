"""Shared by the two programs: the expected mechanisms, and verification with the package `cryptography`."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

# The prefix of a DigestInfo with SHA-256, for CKM_RSA_PKCS.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def mechanisms(is_rsa):
    """Returns the mechanisms: name, hash, kind of signature, and whether the mechanism hashes the data."""
    if is_rsa:
        yield "RSA_PKCS", "sha256", "pkcs1", False
        yield "RSA_PKCS_PSS", "sha256", "pss", False
        for size in 256, 384, 512:
            yield f"SHA{size}_RSA_PKCS", f"sha{size}", "pkcs1", True
            yield f"SHA{size}_RSA_PKCS_PSS", f"sha{size}", "pss", True
    else:
        yield "ECDSA", "sha256", "ecdsa", False
        for size in 1, 224, 256, 384, 512:
            yield f"ECDSA_SHA{size}", f"sha{size}", "ecdsa", True


def digest(name, hash_name, data):
    value = hashlib.new(hash_name, data).digest()
    return SHA256_PREFIX + value if name == "RSA_PKCS" else value


def verify(public, kind, hash_name, data, signature):
    """Raises InvalidSignature if the signature is wrong."""
    algorithm = getattr(hashes, hash_name.upper())()
    if kind == "ecdsa":
        public.verify(signature, data, ec.ECDSA(algorithm))
    elif kind == "pss":
        public.verify(signature, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    else:
        public.verify(signature, data, padding.PKCS1v15(), algorithm)
