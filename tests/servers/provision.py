"""Creates keys in the servers, and checks the servers, through the official SDKs only.

The public keys that this writes come from the service. The tests verify the module's signatures with them.
"""

import datetime
import hashlib
import importlib
import json
import os
import pathlib
import urllib.request

import boto3
import botocore.config
from azure.identity import ClientSecretCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# name: (key spec, usage). A key that both clouds have has the same name in both.
AWS_KEYS = {
    "rsa2048": ("RSA_2048", "SIGN_VERIFY"),
    "rsa3072": ("RSA_3072", "SIGN_VERIFY"),
    "rsa4096": ("RSA_4096", "SIGN_VERIFY"),
    "p256": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "p384": ("ECC_NIST_P384", "SIGN_VERIFY"),
    "p521": ("ECC_NIST_P521", "SIGN_VERIFY"),
    "secp256k1": ("ECC_SECG_P256K1", "SIGN_VERIFY"),
    "decrypt": ("RSA_2048", "ENCRYPT_DECRYPT"),
    "hmac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
    "hmac512": ("HMAC_512", "GENERATE_VERIFY_MAC"),
    "agree": ("ECC_NIST_P256", "KEY_AGREEMENT"),
    "agree384": ("ECC_NIST_P384", "KEY_AGREEMENT"),
    "ed25519": ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    "mldsa44": ("ML_DSA_44", "SIGN_VERIFY"),
    "mldsa65": ("ML_DSA_65", "SIGN_VERIFY"),
    "mldsa87": ("ML_DSA_87", "SIGN_VERIFY"),
    "disabled": ("RSA_2048", "SIGN_VERIFY"),
}
USAGES = {"SIGN_VERIFY": "sign", "ENCRYPT_DECRYPT": "decrypt", "GENERATE_VERIFY_MAC": "mac", "KEY_AGREEMENT": "agree"}
# Key specs and usages that a server lacks or implements wrongly: README.md, "Known wrong".
LACKS = {
    "ministack": ("KEY_AGREEMENT", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"),
    "localstack": ("ECC_NIST_EDWARDS25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"),
}
AZURE_KEYS = {
    "rsa2048": {"size": 2048}, "rsa3072": {"size": 3072}, "rsa4096": {"size": 4096},
    "rsahsm": {"size": 2048, "hardware_protected": True},
    "p256": {"curve": "P-256"}, "p384": {"curve": "P-384"}, "p521": {"curve": "P-521"},
    "secp256k1": {"curve": "P-256K"},
    "decrypt": {"size": 2048, "key_operations": ["decrypt", "encrypt", "wrapKey", "unwrapKey"]},
    "disabled": {"size": 2048},
}
CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "P-256K": ec.SECP256K1}
ML_DSA = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
CURVE_NAMES = {curve.name: name for name, curve in CURVES.items()}
# The clouds whose keys another file creates and checks.
MODULES = {"vault": "vault", "google": "google_kms"}


def private_file(path, data):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# Certificates.


def certificate(subject, public, issuer, signer, ca=False, names=()):
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
               # The tool warns in the last 30 days.
               .not_valid_after(now + datetime.timedelta(days=90))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    if names:
        builder = (builder.add_extension(x509.SubjectAlternativeName(names), False)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False))
    return builder.sign(signer, hashes.SHA256())


# The description of a key in servers.json.


def describe(out, server, name, public, usage="sign", enabled=True, cert=None, **more):
    facts = {"name": name, "usage": usage, "enabled": enabled, **more}
    if public is not None:
        file = out / "public" / f"{server}-{name}.pem"
        file.write_bytes(public_pem(public))
        facts["public"] = str(file)
        if isinstance(public, rsa.RSAPublicKey):
            facts |= {"kind": "rsa", "bits": public.key_size}
        elif isinstance(public, ed25519.Ed25519PublicKey):
            facts |= {"kind": "ed25519", "bits": 255}
        elif isinstance(public, ML_DSA):
            facts |= {"kind": "ml-dsa", "bits": 8 * len(public.public_bytes_raw())}
        else:
            facts |= {"kind": "ec", "curve": CURVE_NAMES[public.curve.name], "bits": public.curve.key_size}
    else:
        facts |= {"kind": "hmac", "bits": int(more["type"].removeprefix("HMAC_").removeprefix("SHA"))}
    if cert is not None:
        file = out / "certificates" / f"{server}-{name}.pem"
        file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        facts["certificate"] = str(file)
    return facts


# AWS.


def aws_client(service, facts, key_id, secret):
    # Every setting is given here, so that the caller's environment and files have no effect.
    config = botocore.config.Config(proxies={}, retries={"total_max_attempts": 3})
    return boto3.session.Session(aws_access_key_id=key_id, aws_secret_access_key=secret).client(
        service, region_name=facts["region"], endpoint_url=facts["endpoint"], config=config)


def aws_identity(server, facts):
    """Returns an access key ID and its secret. ministack checks secrets of IAM users only, so this creates one there."""
    if server == "emulator-kms":
        return "emulator-access-key", "emulator-secret-key"
    if server != "ministack":
        return "LKIAQAAAAAAAAAAAAAAA", "not-checked-by-this-server"
    iam = aws_client("iam", facts, "test", "test")
    iam.create_user(UserName="pkcs11")
    iam.put_user_policy(UserName="pkcs11", PolicyName="kms", PolicyDocument=(
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:*","acm:*"],"Resource":"*"}]}'))
    key = iam.create_access_key(UserName="pkcs11")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def fill_aws(server, facts, out):
    facts["access_key_id"], facts["secret_access_key"] = aws_identity(server, facts)
    kms = aws_client("kms", facts, facts["access_key_id"], facts["secret_access_key"])
    home = out / "run" / server
    facts["credentials_file"], facts["config_file"] = str(home / "credentials"), str(home / "config")
    private_file(home / "credentials", (f"[default]\naws_access_key_id = {facts['access_key_id']}\n"
                                        f"aws_secret_access_key = {facts['secret_access_key']}\n").encode())
    (home / "config").write_text(f"[default]\nregion = {facts['region']}\n")
    # AWS KMS stores no certificates, so a new CA issues them.
    issuer = ec.generate_private_key(ec.SECP256R1())
    facts["keys"] = []
    for name, (spec, usage) in AWS_KEYS.items():
        if {spec, usage} & set(LACKS.get(server, ())):
            continue
        made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=made["KeyId"])
        public = cert = None
        if usage != "GENERATE_VERIFY_MAC":
            public = serialization.load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
            if name in ("rsa2048", "p256"):
                cert = certificate(f"aws-{name}", public, "cloud-kms-pkcs11 test CA", issuer)
        if name == "disabled":
            kms.disable_key(KeyId=made["KeyId"])
        facts["keys"].append(describe(out, server, name, public, USAGES[usage], name != "disabled", cert, type=spec,
                                      id=made["KeyId"], arn=made["Arn"], alias=f"alias/{name}"))
    facts["certificates"] = [import_certificate(server, facts, out)] if server == "ministack" else []


def import_certificate(server, facts, out):
    """Imports a certificate and its chain into AWS Certificate Manager, which needs the private key."""
    acm = aws_client("acm", facts, facts["access_key_id"], facts["secret_access_key"])
    authority, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = certificate("ACM CA", authority.public_key(), "ACM CA", authority, ca=True)
    own = certificate("acm.example", leaf.public_key(), "ACM CA", authority)
    own, chain = (one.public_bytes(serialization.Encoding.PEM) for one in (own, chain))
    arn = acm.import_certificate(Certificate=own, PrivateKey=private_pem(leaf), CertificateChain=chain)["CertificateArn"]
    file = out / "certificates" / f"{server}-acm.pem"
    file.write_bytes(own + chain)
    return {"arn": arn, "file": str(file)}


# Azure.


def azure_clients(facts):
    common = {"connection_verify": facts["ca_bundle"]}
    credential = ClientSecretCredential(facts["tenant_id"], facts["client_id"], facts["client_secret"],
                                        authority=facts["authority_host"], disable_instance_discovery=True, **common)
    options = {"vault_url": facts["vault_url"], "credential": credential,
               "verify_challenge_resource": facts["verify_challenge_resource"], **common}
    return KeyClient(**options), CertificateClient(**options), options


def azure_public(jwk):
    value = lambda part: int.from_bytes(part, "big")
    if jwk.n:
        return rsa.RSAPublicNumbers(value(jwk.e), value(jwk.n)).public_key()
    return ec.EllipticCurvePublicNumbers(value(jwk.x), value(jwk.y), CURVES[jwk.crv]()).public_key()


def fill_azure(server, facts, out):
    ready = json.loads((out / "run" / server / "ready.json").read_text())
    facts |= {name: ready["azure"][name] for name in ("tenant_id", "client_id", "client_secret")}
    facts["client_secret_file"] = str(out / "run" / server / "secret")
    private_file(out / "run" / server / "secret", facts["client_secret"].encode())
    keys, certificates, _ = azure_clients(facts)
    facts["keys"] = []

    def add(name, usage="sign", enabled=True, cert=None):
        key = keys.get_key(name)
        facts["keys"].append(describe(out, server, name, azure_public(key.key), usage, enabled, cert,
                                      type=str(getattr(key.key_type, "value", key.key_type)), id=key.id,
                                      version=key.properties.version))

    for name, options in AZURE_KEYS.items():
        make = keys.create_ec_key if "curve" in options else keys.create_rsa_key
        make(name, **options)
        if name == "disabled":
            keys.update_key_properties(name, enabled=False)
        add(name, "decrypt" if name == "decrypt" else "sign", name != "disabled")
    for name, key in (("cert-ec", {"kty": "EC"}), ("cert-rsa", {"kty": "RSA"})):
        control(facts, "vaults/default/certificates", {"name": name, "key": key})
        add(name, cert=x509.load_der_x509_certificate(bytes(certificates.get_certificate(name).cer)))


def control(facts, path, body):
    """Uses the emulator's control interface to create certificates: the service's own interface needs an issuer and takes minutes."""
    request = urllib.request.Request(f"{facts['control']}/{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        return json.loads(reply.read() or b"{}")


def fill(server, facts, out, servers=()):
    # emulator-kms-p256.pem is no file of the server emulator.
    others = tuple(f"{other}-" for other in servers if other.startswith(f"{server}-"))
    for folder in ("public", "certificates"):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for old in (out / folder).glob(f"{server}-*.pem"):
            if not old.name.startswith(others):
                old.unlink()
    if module := module_of(facts["cloud"]):
        module.fill(server, facts, out)
    else:
        (fill_aws if facts["cloud"] == "aws" else fill_azure)(server, facts, out)


def module_of(cloud):
    """Returns the module that creates and checks the keys of the cloud, or None if it is this one."""
    return importlib.import_module(MODULES[cloud]) if cloud in MODULES else None


# The check of the servers: every key and algorithm, compared with the cryptography package.


def verify(public, scheme, size, digest, signature):
    hashed = utils.Prehashed({256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}[size])
    if scheme == "ec":
        public.verify(signature, digest, ec.ECDSA(hashed))
    elif scheme == "pkcs1":
        public.verify(signature, digest, padding.PKCS1v15(), hashed)
    else:
        public.verify(signature, digest, padding.PSS(padding.MGF1(hashed._algorithm), len(digest)), hashed)


def aws_signer(facts):
    kms = aws_client("kms", facts, facts["access_key_id"], facts["secret_access_key"])
    names = {"ec": "ECDSA_SHA_", "pkcs1": "RSASSA_PKCS1_V1_5_SHA_", "pss": "RSASSA_PSS_SHA_"}

    def sign(key, scheme, size, digest):
        return kms.sign(KeyId=key["alias"], Message=digest, MessageType="DIGEST",
                        SigningAlgorithm=f"{names[scheme]}{size}")["Signature"]
    return sign


def azure_signer(facts):
    keys, _, options = azure_clients(facts)

    def sign(key, scheme, size, digest):
        prefix = {"ec": "ES", "pkcs1": "RS", "pss": "PS"}[scheme]
        name = f"{prefix}{size}" + ("K" if key.get("curve") == "P-256K" else "")
        client = keys.get_cryptography_client(key["name"])
        # A client made from the key's name has no private key, so it can't sign locally and sends a request.
        signature = client.sign(SignatureAlgorithm(name), digest).signature
        if scheme == "ec":
            half = len(signature) // 2
            signature = utils.encode_dss_signature(int.from_bytes(signature[:half], "big"),
                                                   int.from_bytes(signature[half:], "big"))
        return signature
    return sign


def signs(public, sign, key):
    """Yields each scheme of the key: its name, and a function that tests it."""
    schemes = [("pkcs1", n) for n in (256, 384, 512)] + [("pss", n) for n in (256, 384, 512)]
    if key["kind"] == "ec":
        schemes = [("ec", {"P-384": 384, "P-521": 512}.get(key["curve"], 256))]
    for scheme, size in schemes:
        digest = hashlib.new(f"sha{size}", os.urandom(100)).digest()
        yield f"{scheme} {size}", lambda: verify(public, scheme, size, digest, sign(key, scheme, size, digest))


def expect(condition):
    if not condition:
        raise ValueError("the server returned a wrong result")


def aws_others(facts):
    """Like signs(), for the keys that do something other than RSA and ECDSA signatures."""
    kms = aws_client("kms", facts, facts["access_key_id"], facts["secret_access_key"])

    def raw(public, key, algorithm):
        data = os.urandom(100)
        signature = kms.sign(KeyId=key["alias"], Message=data, MessageType="RAW", SigningAlgorithm=algorithm)["Signature"]
        public.verify(signature, data)

    def decrypts(public, key, hashed):
        oaep = padding.OAEP(padding.MGF1(hashed), hashed, None)
        text = kms.decrypt(KeyId=key["alias"], CiphertextBlob=public.encrypt(b"a secret", oaep),
                           EncryptionAlgorithm=f"RSAES_OAEP_SHA_{ {20: 1, 32: 256}[hashed.digest_size] }")["Plaintext"]
        expect(text == b"a secret")

    def agrees(public, key):
        own = ec.generate_private_key(public.curve)
        spki = own.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        secret = kms.derive_shared_secret(KeyId=key["alias"], KeyAgreementAlgorithm="ECDH", PublicKey=spki)["SharedSecret"]
        expect(secret == own.exchange(ec.ECDH(), public))

    def authenticates(key):
        asked = {"KeyId": key["alias"], "MacAlgorithm": f"HMAC_SHA_{key['bits']}"}
        mac = kms.generate_mac(Message=b"a message", **asked)["Mac"]
        expect(len(mac) == key["bits"] // 8 and kms.verify_mac(Message=b"a message", Mac=mac, **asked)["MacValid"])
        try:
            expect(not kms.verify_mac(Message=b"another", Mac=mac, **asked)["MacValid"])
        except kms.exceptions.KMSInvalidMacException:
            pass

    def others(public, key):
        if key["usage"] == "decrypt":
            yield "OAEP SHA-1", lambda: decrypts(public, key, hashes.SHA1())
            yield "OAEP SHA-256", lambda: decrypts(public, key, hashes.SHA256())
        elif key["usage"] == "agree":
            yield "ECDH", lambda: agrees(public, key)
        elif key["usage"] == "mac":
            yield "HMAC", lambda: authenticates(key)
        else:
            yield key["type"], lambda: raw(public, key, {"ed25519": "ED25519_SHA_512", "ml-dsa": "ML_DSA_SHAKE_256"}[key["kind"]])
    return others


def azure_others(facts):
    keys, _, _ = azure_clients(facts)

    def decrypts(public, key, name, scheme):
        client = keys.get_cryptography_client(key["name"])
        expect(client.decrypt(EncryptionAlgorithm(name), public.encrypt(b"a secret", scheme)).plaintext == b"a secret")

    def others(public, key):
        for name, scheme in (("RSA1_5", padding.PKCS1v15()),
                             ("RSA-OAEP", padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)),
                             ("RSA-OAEP-256", padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))):
            yield name, lambda: decrypts(public, key, name, scheme)
    return others


# Operations that a server gets wrong: README.md, "Known wrong".
WRONG = {("localstack", "OAEP SHA-1")}


def operations_of(facts):
    """Returns a function that yields each operation of a key: its name, and a function that tests it."""
    if module := module_of(facts["cloud"]):
        return module.checks(facts)
    aws = facts["cloud"] == "aws"
    sign = (aws_signer if aws else azure_signer)(facts)
    others = (aws_others if aws else azure_others)(facts)

    def operations(key):
        public = serialization.load_pem_public_key(pathlib.Path(key["public"]).read_bytes()) if "public" in key else None
        of_digests = key["usage"] == "sign" and key["kind"] in ("rsa", "ec")
        return signs(public, sign, key) if of_digests else others(public, key)
    return operations


def check(servers):
    passed = failed = 0
    for server, facts in servers.items():
        operations = operations_of(facts)
        for key in facts["keys"]:
            for what, attempt in operations(key):
                try:
                    attempt()
                    good, why = key["enabled"], "the operation succeeded although the key is disabled"
                except Exception as error:
                    why = f"{type(error).__name__}: {error}"
                    good = not key["enabled"] and "disabled" in why
                if (server, what) in WRONG:
                    print(f"skipped {server} {key['name']} {what}: known to be wrong on this server: {why}")
                    continue
                passed, failed = passed + good, failed + (not good)
                if not good:
                    print(f"FAILED {server} {key['name']} {what}: {why}")
    print(f"{passed} passed, {failed} failed")
    raise SystemExit(failed > 0)
