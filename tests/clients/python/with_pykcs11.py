"""with_pykcs11.py MODULE TOKEN FILE FOLDER: signs with every mechanism that the token lists, with PyKCS11.

Signs without a login, and once with SHA-256 after a login. The package `cryptography` verifies the signatures with the token's public
key. Writes them to FOLDER/MECHANISM.sig and FOLDER/login-SHA256.sig.
"""

import hashlib
import pathlib
import sys

import PyKCS11
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

import verifying

CURVES = {
    "06082a8648ce3d030107": ec.SECP256R1(),
    "06052b81040022": ec.SECP384R1(),
    "06052b81040023": ec.SECP521R1(),
    "06052b8104000a": ec.SECP256K1(),
}


def find(session, object_class):
    found = session.findObjects([(PyKCS11.CKA_CLASS, object_class)])
    if len(found) != 1:
        sys.exit(f"expected one object of class {object_class}, found {len(found)}")
    return found[0]


def unwrap(text):
    """Returns the contents of an OCTET STRING."""
    if text[0] != 4:
        sys.exit("CKA_EC_POINT is not an OCTET STRING")
    start = 2 + (text[1] & 0x7F if text[1] & 0x80 else 0)
    return text[start:]


def read_public(session, is_rsa):
    public = find(session, PyKCS11.CKO_PUBLIC_KEY)
    types = [PyKCS11.CKA_MODULUS, PyKCS11.CKA_PUBLIC_EXPONENT] if is_rsa else [PyKCS11.CKA_EC_PARAMS, PyKCS11.CKA_EC_POINT]
    first, second = (bytes(value) for value in session.getAttributeValue(public, types))
    if is_rsa:
        return rsa.RSAPublicNumbers(int.from_bytes(second), int.from_bytes(first)).public_key()
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[first.hex()], unwrap(second))


def find_keys(session):
    """Returns the private key, the public key for `cryptography`, and whether they are RSA keys."""
    private = find(session, PyKCS11.CKO_PRIVATE_KEY)
    is_rsa = session.getAttributeValue(private, [PyKCS11.CKA_KEY_TYPE])[0] == PyKCS11.CKK_RSA
    return private, read_public(session, is_rsa), is_rsa


def to_der(signature):
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


def sign_all(session, slot_mechanisms, data, folder):
    private, verifier, is_rsa = find_keys(session)
    for name, hash_name, kind, whole in verifying.mechanisms(is_rsa):
        if "CKM_" + name not in slot_mechanisms:
            sys.exit(f"the token does not list {name}")
        number = PyKCS11.CKM["CKM_" + name]
        if kind == "pss":
            upper = hash_name.upper()
            mechanism = PyKCS11.RSA_PSS_Mechanism(number, PyKCS11.CKM["CKM_" + upper], PyKCS11.CKG["CKG_MGF1_" + upper],
                                                  hashlib.new(hash_name).digest_size)
        else:
            mechanism = PyKCS11.Mechanism(number)
        signature = bytes(session.sign(private, data if whole else verifying.digest(name, hash_name, data), mechanism))
        if not is_rsa:
            signature = to_der(signature)
        verifying.verify(verifier, kind, hash_name, data, signature)
        (folder / f"{name}.sig").write_bytes(signature)
        print("signed", name)


def sign_once(session, data, folder):
    private, verifier, is_rsa = find_keys(session)
    mechanism = PyKCS11.Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS if is_rsa else PyKCS11.CKM_ECDSA_SHA256)
    signature = bytes(session.sign(private, data, mechanism))
    if not session.verify(find(session, PyKCS11.CKO_PUBLIC_KEY), data, signature, mechanism):
        sys.exit("the token does not verify its own signature")
    if not is_rsa:
        signature = to_der(signature)
    verifying.verify(verifier, "pkcs1" if is_rsa else "ecdsa", "sha256", data, signature)
    (folder / "login-SHA256.sig").write_bytes(signature)


def main():
    module, label, file, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    data = pathlib.Path(file).read_bytes()
    library = PyKCS11.PyKCS11Lib()
    library.load(module)
    slots = [slot for slot in library.getSlotList(tokenPresent=True) if library.getTokenInfo(slot).label.strip("\0 ") == label]
    if len(slots) != 1:
        sys.exit(f"expected one token {label}, found {len(slots)}")
    mechanisms = library.getMechanismList(slots[0])
    for mechanism in mechanisms:
        # PyKCS11 1.5.20 adds this mechanism to every list.
        if mechanism != "CKM_ML_DSA":
            library.getMechanismInfo(slots[0], mechanism)
    for pin in (None, "", "1234"):
        session = library.openSession(slots[0])
        if pin is None:
            for found in session.findObjects():
                kind, name, identity = session.getAttributeValue(found, [PyKCS11.CKA_CLASS, PyKCS11.CKA_LABEL, PyKCS11.CKA_ID])
                print("object", PyKCS11.CKO[kind].removeprefix("CKO_"), name, bytes(identity).hex())
                if kind == PyKCS11.CKO_CERTIFICATE:
                    x509.load_der_x509_certificate(bytes(session.getAttributeValue(found, [PyKCS11.CKA_VALUE])[0]))
            sign_all(session, mechanisms, data, folder)
        else:
            session.login(pin)
            sign_once(session, data, folder)
            print("signed after a login with", repr(pin))
            session.logout()
        session.closeSession()


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("the signature is wrong")
