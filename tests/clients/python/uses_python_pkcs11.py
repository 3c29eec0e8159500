"""uses_python_pkcs11.py MODULE TOKEN PUBLIC.pem FOLDER: tests all operations of a token's key, with python-pkcs11.

The package `cryptography` encrypts, derives and verifies with the service's public key. Writes a MAC to FOLDER/mac.
"""

import os
import pathlib
import sys

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pkcs11 import Attribute, KDF, KeyType, Mechanism, MechanismFlag, MGF, ObjectClass
from pkcs11.util.ec import encode_ecdsa_signature

OAEP = {
    "SHA-1": (hashes.SHA1(), (Mechanism.SHA_1, MGF.SHA1, None)),
    "SHA-256": (hashes.SHA256(), (Mechanism.SHA256, MGF.SHA256, None)),
}
def right(condition, what):
    if not condition:
        sys.exit(f"wrong: {what}")


def refused(what, attempt, *errors):
    try:
        attempt()
    except errors as error:
        print(f"{what} is refused: {type(error).__name__}")
        return
    sys.exit(f"{what} must be refused, but succeeded")


def changed(data):
    return data[:20] + bytes([data[20] ^ 1]) + data[21:]


def decrypt(slot, private, public):
    theirs = private.session.get_key(object_class=ObjectClass.PUBLIC_KEY)
    ways = {f"OAEP {name}": (Mechanism.RSA_PKCS_OAEP, param, padding.OAEP(padding.MGF1(hashed), hashed, None))
            for name, (hashed, param) in OAEP.items()}
    ways["PKCS#1 v1.5"] = (Mechanism.RSA_PKCS, None, padding.PKCS1v15())
    for name, (mechanism, param, scheme) in ways.items():
        # Vault decrypts OAEP with SHA-256 only, and so does this key of Google.
        sha1 = name == "OAEP SHA-1" and slot.get_token().manufacturer_id in ("HashiCorp", "Google")
        if sha1 or not slot.get_mechanism_info(mechanism).flags & MechanismFlag.DECRYPT:
            print(name, "is not for this key")
            refused(name, lambda: private.decrypt(bytes(256), mechanism=mechanism, mechanism_param=param),
                    pkcs11.exceptions.MechanismInvalid, pkcs11.exceptions.MechanismParamInvalid)
            continue
        text = os.urandom(32)
        ciphertext = public.encrypt(text, scheme)
        right(private.decrypt(ciphertext, mechanism=mechanism, mechanism_param=param) == text, f"{name}: another text")
        own = theirs.encrypt(text, mechanism=mechanism, mechanism_param=param)
        right(private.decrypt(own, mechanism=mechanism, mechanism_param=param) == text, f"{name}: encrypted by the token")
        key = private.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, ciphertext, mechanism=mechanism, mechanism_param=param,
                                 template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True})
        right(key[Attribute.VALUE] == text, f"{name}: another key")
        again = theirs.wrap_key(key, mechanism=mechanism, mechanism_param=param)
        right(private.decrypt(again, mechanism=mechanism, mechanism_param=param) == text, f"{name}: wrapped by the token")
        print("decrypted, encrypted, unwrapped, wrapped", name)
        refused(f"{name}: a changed ciphertext",
                lambda: private.decrypt(changed(ciphertext), mechanism=mechanism, mechanism_param=param),
                pkcs11.exceptions.EncryptedDataInvalid, pkcs11.exceptions.PKCS11Error)


def agree(private, public):
    own = ec.generate_private_key(public.curve)
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = own.exchange(ec.ECDH(), public)
    readable = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
    key = private.derive_key(KeyType.GENERIC_SECRET, 8 * len(shared), mechanism_param=(KDF.NULL, None, point), template=readable)
    right(key[Attribute.VALUE] == shared, "another secret")
    key = private.derive_key(KeyType.AES, 256, mechanism_param=(KDF.SHA256, b"info", point), template=readable)
    right(key[Attribute.VALUE] == X963KDF(hashes.SHA256(), 32, b"info").derive(shared), "another key by the X9.63 KDF")
    print("derived with CKD_NULL, with CKD_SHA256_KDF")
    refused("a point that is not on the curve",
            lambda: private.derive_key(KeyType.AES, 256, mechanism_param=(KDF.NULL, None, changed(point)), template=readable),
            pkcs11.exceptions.MechanismParamInvalid)


def authenticate(secret, folder):
    mechanism = Mechanism[f"SHA{8 * secret.key_length if secret.key_length < 100 else secret.key_length}_HMAC"]
    data = (folder / "data").read_bytes()
    mac = secret.sign(data, mechanism=mechanism)
    right(secret.verify(data, mac, mechanism=mechanism), "not verified")
    right(not secret.verify(data, changed(mac), mechanism=mechanism), "a changed MAC is verified")
    right(not secret.verify(changed(data), mac, mechanism=mechanism), "verified for other data")
    (folder / "mac").write_bytes(mac)
    print("authenticated", mechanism.name)


def sign(private, public, mechanism, data, der=bytes, *more):
    theirs = private.session.get_key(object_class=ObjectClass.PUBLIC_KEY)
    signature = private.sign(data, mechanism=mechanism)
    public.verify(der(signature), data, *more)
    refused("other data", lambda: public.verify(der(signature), changed(data), *more), InvalidSignature)
    # The token must also verify.
    right(theirs.verify(data, signature, mechanism=mechanism), "the token does not verify")
    right(not theirs.verify(changed(data), signature, mechanism=mechanism), "the token verifies for other data")
    right(not theirs.verify(data, changed(signature), mechanism=mechanism), "the token verifies a changed signature")
    print("signed and verified", mechanism.name, len(data))


def use(session, public_file, folder):
    secrets = list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY}))
    if secrets:
        return authenticate(secrets[0], folder)
    private = session.get_key(object_class=ObjectClass.PRIVATE_KEY)
    public = load_pem_public_key(pathlib.Path(public_file).read_bytes())
    data = os.urandom(4000)
    if private.key_type == KeyType.EC_EDWARDS:
        sign(private, public, Mechanism.EDDSA, data)
        limit = {"aws_kms": 4096, "Google": 65536, "HashiCorp": 524288}[session.token.manufacturer_id]
        refused(f"a message of {limit + 1} bytes", lambda: private.sign(bytes(limit + 1), mechanism=Mechanism.EDDSA),
                pkcs11.exceptions.DataLenRange)
    elif private.key_type == KeyType.ML_DSA:
        # The module sends the longer message as a mu.
        sign(private, public, Mechanism.ML_DSA, data)
        sign(private, public, Mechanism.ML_DSA, os.urandom(100_000))
    elif private.key_type == KeyType.EC and private[Attribute.DERIVE]:
        agree(private, public)
    elif private.key_type == KeyType.EC:
        sign(private, public, Mechanism.ECDSA_SHA256, data, encode_ecdsa_signature, ec.ECDSA(hashes.SHA256()))
    else:
        if private[Attribute.SIGN]:
            sign(private, public, Mechanism.SHA256_RSA_PKCS, data, bytes, padding.PKCS1v15(), hashes.SHA256())
        if private[Attribute.DECRYPT]:
            decrypt(session.token.slot, private, public)
    one, two = session.generate_random(8 * 100), session.generate_random(8 * 100)
    right(len(one) == 100 and one != two, "random bytes")


def main():
    module, label, public, folder = sys.argv[1:]
    token = pkcs11.lib(module).get_token(token_label=label)
    with token.open() as session:
        use(session, public, pathlib.Path(folder))


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("the signature is wrong")
