"""with_python_pkcs11.py MODULE TOKEN FILE FOLDER: signs with every mechanism that the token lists, with python-pkcs11.

Signs without a login, in one call and in parts, and once after a login with python-pkcs11's default mechanism. The package
`cryptography` verifies the signatures with the token's public key. Writes them to FOLDER/MECHANISM.sig and FOLDER/default-SHA512.sig.
"""

import hashlib
import pathlib
import sys

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism, MGF, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature
from pkcs11.util.rsa import encode_rsa_public_key

import verifying

HASHES = {"sha256": Mechanism.SHA256, "sha384": Mechanism.SHA384, "sha512": Mechanism.SHA512}
MASKS = {"sha256": MGF.SHA256, "sha384": MGF.SHA384, "sha512": MGF.SHA512}


def find_keys(session):
    """Returns the private key, the public key, the public key for `cryptography`, and whether they are RSA keys."""
    private = session.get_key(object_class=ObjectClass.PRIVATE_KEY)
    public = session.get_key(object_class=ObjectClass.PUBLIC_KEY)
    if private[Attribute.ID] != public[Attribute.ID]:
        sys.exit("the two keys have different ids")
    is_rsa = private.key_type == KeyType.RSA
    return private, public, load_der_public_key(encode_rsa_public_key(public) if is_rsa else encode_ec_public_key(public)), is_rsa


def sign_all(session, mechanisms, data, folder):
    private, _, verifier, is_rsa = find_keys(session)
    for name, hash_name, kind, whole in verifying.mechanisms(is_rsa):
        mechanism = Mechanism[name]
        if mechanism not in mechanisms:
            sys.exit(f"the token does not list {name}")
        param = None
        if kind == "pss":
            # python-pkcs11 needs the hash, the mask generation function and the length of the salt.
            param = (HASHES[hash_name], MASKS[hash_name], hashlib.new(hash_name).digest_size)
        inputs = [data, [data[:1], data[1:300], data[300:]]] if whole else [verifying.digest(name, hash_name, data)]
        for one in inputs:
            signature = private.sign(one, mechanism=mechanism, mechanism_param=param)
            if not is_rsa:
                signature = encode_ecdsa_signature(signature)
            verifying.verify(verifier, kind, hash_name, data, signature)
            (folder / f"{name}.sig").write_bytes(signature)
        print("signed", name)


def sign_by_default(session, data, folder):
    """Signs as in python-pkcs11's README, without a mechanism. The default mechanism uses SHA-512."""
    private, public, verifier, is_rsa = find_keys(session)
    signature = private.sign(data)
    if not public.verify(data, signature):
        sys.exit("the token does not verify its own signature")
    if not is_rsa:
        signature = encode_ecdsa_signature(signature)
    verifying.verify(verifier, "pkcs1" if is_rsa else "ecdsa", "sha512", data, signature)
    (folder / "default-SHA512.sig").write_bytes(signature)


def main():
    module, label, file, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    data = pathlib.Path(file).read_bytes()
    library = pkcs11.lib(module)
    token = library.get_token(token_label=label)
    mechanisms = token.slot.get_mechanisms()
    for pin in (None, "", "1234"):
        with token.open(user_pin=pin) as session:
            if pin is None:
                for found in session.get_objects():
                    # python-pkcs11 does not define CKO_PROFILE.
                    print("object", found.object_class.name if found.object_class else "PROFILE", found[Attribute.LABEL], found[Attribute.ID].hex())
                sign_all(session, mechanisms, data, folder)
            else:
                sign_by_default(session, data, folder)
                print("signed after a login with", repr(pin))


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("the signature is wrong")
