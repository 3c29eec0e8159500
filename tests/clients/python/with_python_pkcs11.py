"""with_python_pkcs11.py MODULE TOKEN FILE FOLDER: signs by every mechanism that the token lists, with python-pkcs11.

Once without a PIN and once with one, whole and in parts. The signatures are verified by `cryptography` with the public key that the
token shows, and left as FOLDER/MECHANISM.sig.
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


def sign_all(session, mechanisms, data, folder):
    private = session.get_key(object_class=ObjectClass.PRIVATE_KEY)
    public = session.get_key(object_class=ObjectClass.PUBLIC_KEY)
    if private[Attribute.ID] != public[Attribute.ID]:
        sys.exit("the two keys have different ids")
    is_rsa = private.key_type == KeyType.RSA
    verifier = load_der_public_key(encode_rsa_public_key(public) if is_rsa else encode_ec_public_key(public))
    for name, hash_name, kind, whole in verifying.mechanisms(is_rsa):
        mechanism = Mechanism[name]
        if mechanism not in mechanisms:
            sys.exit(f"{name} is not listed")
        param = None
        if kind == "pss":
            # python-pkcs11 wants the parameters' names, and the salt's length.
            param = (HASHES[hash_name], MASKS[hash_name], hashlib.new(hash_name).digest_size)
        inputs = [data, [data[:1], data[1:300], data[300:]]] if whole else [verifying.digest(name, hash_name, data)]
        for one in inputs:
            signature = private.sign(one, mechanism=mechanism, mechanism_param=param)
            if not is_rsa:
                signature = encode_ecdsa_signature(signature)
            verifying.verify(verifier, kind, hash_name, data, signature)
            (folder / f"{name}.sig").write_bytes(signature)
        print("signed", name)


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
                    # It knows no CKO_PROFILE.
                    print("object", found.object_class.name if found.object_class else "PROFILE", found[Attribute.LABEL], found[Attribute.ID].hex())
                sign_all(session, mechanisms, data, folder)
            else:
                print("logged in with", repr(pin), len(list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))), "private key")


if __name__ == "__main__":
    try:
        main()
    except InvalidSignature:
        sys.exit("the signature is wrong")
