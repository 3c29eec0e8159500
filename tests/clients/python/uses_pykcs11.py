"""uses_pykcs11.py MODULE TOKEN PUBLIC.pem: tests ML-DSA with a context and HashML-DSA, SLH-DSA, OAEP and ECDH, with PyKCS11.

The package `cryptography` encrypts, derives and verifies with the service's public key. It has no SLH-DSA: the program signs itself,
and writes the signature to PUBLIC.pem.sig.
"""

import ctypes
import hashlib
import os
import pathlib
import sys

import PyKCS11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

# CKM_HASH_ML_DSA_*: the mechanism, the hash, and the last byte of its object identifier (NIST's hashAlgs).
HASH_ML_DSA = {
    "SHA256": (PyKCS11.CKM_HASH_ML_DSA_SHA256, hashlib.sha256, 0x01),
    "SHA3_224": (PyKCS11.CKM_HASH_ML_DSA_SHA3_224, hashlib.sha3_224, 0x07),
    "SHA3_512": (PyKCS11.CKM_HASH_ML_DSA_SHA3_512, hashlib.sha3_512, 0x0A),
    "SHAKE128": (PyKCS11.CKM_HASH_ML_DSA_SHAKE128, hashlib.shake_128, 0x0B),
    "SHAKE256": (PyKCS11.CKM_HASH_ML_DSA_SHAKE256, hashlib.shake_256, 0x0C),
}


# PKCS#11 3.2, which PyKCS11 1.5.20 does not have.
CKK_SLH_DSA, CKM_SLH_DSA = 0x4B, 0x2E


class Context(ctypes.Structure):
    """CK_SIGN_ADDITIONAL_CONTEXT, which PyKCS11 1.5.20 does not define."""

    _fields_ = [("hedge", ctypes.c_ulong), ("context", ctypes.c_char_p), ("length", ctypes.c_ulong)]


def right(condition, what):
    if not condition:
        sys.exit(f"wrong: {what}")


def find(session, object_class):
    [found] = session.findObjects([(PyKCS11.CKA_CLASS, object_class)])
    return found


def prehashed(data, context, function, number):
    """FIPS 204 algorithm 4: returns the message that HashML-DSA signs, from the domain separator on."""
    oid = bytes.fromhex("06096086480165030402") + bytes([number])
    hashed = function(data)
    digest = hashed.digest() if hashed.digest_size else hashed.digest({0x0B: 32, 0x0C: 64}[number])
    return b"\x01" + bytes([len(context)]) + context + oid + digest


def mu(public, message):
    """FIPS 204 algorithm 7 line 6: returns mu for the message of HashML-DSA, because `cryptography` verifies a mu."""
    tr = hashlib.shake_256(public.public_bytes_raw()).digest(64)
    return hashlib.shake_256(tr + message).digest(64)


def ml_dsa(session, public):
    private, theirs = find(session, PyKCS11.CKO_PRIVATE_KEY), find(session, PyKCS11.CKO_PUBLIC_KEY)
    for length in (1, 4096, 4097, 100_000):
        for context in (b"", b"a context"):
            data = os.urandom(length)
            param = Context(0, context, len(context))
            mechanism = PyKCS11.Mechanism(PyKCS11.CKM_ML_DSA, bytes(param) if context else None)
            signature = bytes(session.sign(private, data, mechanism))
            public.verify(signature, data, context or None)
            try:
                public.verify(signature, data, b"another context")
                sys.exit("a signature was verified with another context")
            except InvalidSignature:
                pass
            right(session.verify(theirs, data, signature, mechanism), "the token does not verify")
            right(not session.verify(theirs, data + b"x", signature, mechanism), "the token verifies for other data")
            print("signed and verified ML_DSA", length, context)
    for name, (mechanism, function, number) in HASH_ML_DSA.items():
        signature = bytes(session.sign(private, data, PyKCS11.Mechanism(mechanism)))
        public.verify_mu(signature, mu(public, prehashed(data, b"", function, number)))
        print("signed and verified", f"HASH_ML_DSA_{name}")


def slh_dsa(session, file):
    private, theirs = find(session, PyKCS11.CKO_PRIVATE_KEY), find(session, PyKCS11.CKO_PUBLIC_KEY)
    mechanism, data = PyKCS11.Mechanism(CKM_SLH_DSA), pathlib.Path(__file__).read_bytes()
    signature = bytes(session.sign(private, data, mechanism))
    right(session.verify(theirs, data, signature, mechanism), "the token does not verify")
    right(not session.verify(theirs, data + b"x", signature, mechanism), "the token verifies for other data")
    pathlib.Path(f"{file}.sig").write_bytes(signature)
    print("signed and verified SLH_DSA", len(signature))


def decrypt(session, public):
    private = find(session, PyKCS11.CKO_PRIVATE_KEY)
    mechanism = PyKCS11.RSAOAEPMechanism(PyKCS11.CKM_SHA256, PyKCS11.CKG_MGF1_SHA256)
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    text = os.urandom(32)
    ciphertext = public.encrypt(text, scheme)
    right(bytes(session.decrypt(private, ciphertext, mechanism)) == text, "another text")
    secret = session.unwrapKey(private, ciphertext, [
        (PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES),
        (PyKCS11.CKA_SENSITIVE, PyKCS11.CK_FALSE), (PyKCS11.CKA_EXTRACTABLE, PyKCS11.CK_TRUE)], mechanism)
    right(bytes(session.getAttributeValue(secret, [PyKCS11.CKA_VALUE])[0]) == text, "another key")
    try:
        session.decrypt(private, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), mechanism)
        sys.exit("a changed ciphertext was decrypted without an error")
    except PyKCS11.PyKCS11Error as error:
        right(error.value == PyKCS11.CKR_ENCRYPTED_DATA_INVALID, error)
    print("decrypted, unwrapped")


def agree(session, public):
    own = ec.generate_private_key(public.curve)
    shared = own.exchange(ec.ECDH(), public)
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    made = session.deriveKey(find(session, PyKCS11.CKO_PRIVATE_KEY), [
        (PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_GENERIC_SECRET),
        (PyKCS11.CKA_SENSITIVE, PyKCS11.CK_FALSE), (PyKCS11.CKA_EXTRACTABLE, PyKCS11.CK_TRUE)],
        PyKCS11.ECDH1_DERIVE_Mechanism(point))
    right(bytes(session.getAttributeValue(made, [PyKCS11.CKA_VALUE])[0]) == shared, "another secret")
    print("derived")


def main():
    module, label, file = sys.argv[1:]
    library = PyKCS11.PyKCS11Lib()
    library.load(module)
    [slot] = [slot for slot in library.getSlotList(tokenPresent=True) if library.getTokenInfo(slot).label.strip("\0 ") == label]
    session = library.openSession(slot)
    kind = session.getAttributeValue(find(session, PyKCS11.CKO_PRIVATE_KEY), [PyKCS11.CKA_KEY_TYPE])[0]
    if kind == CKK_SLH_DSA:
        slh_dsa(session, file)
    else:
        public = load_pem_public_key(pathlib.Path(file).read_bytes())
        {PyKCS11.CKK_ML_DSA: ml_dsa, PyKCS11.CKK_RSA: decrypt, PyKCS11.CKK_EC: agree}[kind](session, public)
    session.closeSession()


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("the signature is wrong")
