"""HashiCorp Vault: the certificates of its server, the keys and identities that are created in it, and the check of its keys.

Everything is done with hvac, a client that the project does not use.
"""

import base64
import datetime
import ipaddress
import json
import pathlib

import hvac
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils

from provision import certificate, expect, private_file, private_pem

# The name of a key, and its type in Transit.
KEYS = {
    "rsa2048": "rsa-2048",
    "rsa3072": "rsa-3072",
    "rsa4096": "rsa-4096",
    "p256": "ecdsa-p256",
    "p384": "ecdsa-p384",
    "p521": "ecdsa-p521",
    "ed25519": "ed25519",
    "hmac": "hmac",
    "aes": "aes256-gcm96",
    "rotated": "ecdsa-p256",
}
HASHES = {"sha1": hashes.SHA1(), "sha2-224": hashes.SHA224(), "sha2-256": hashes.SHA256(), "sha2-384": hashes.SHA384(),
          "sha2-512": hashes.SHA512(), "sha3-224": hashes.SHA3_224(), "sha3-256": hashes.SHA3_256(),
          "sha3-384": hashes.SHA3_384(), "sha3-512": hashes.SHA3_512()}
# What the module needs to sign, decrypt and list. The policy names nothing else.
POLICY = """
path "transit/keys" { capabilities = ["list"] }
path "transit/keys/*" { capabilities = ["read"] }
path "transit/sign/*" { capabilities = ["update"] }
path "transit/hmac/*" { capabilities = ["update"] }
path "transit/verify/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "transit/random/*" { capabilities = ["update"] }
"""


def files(home):
    """Makes the certificates of the server and of a client, and returns their files."""
    authority = ec.generate_private_key(ec.SECP256R1())
    made = {"ca": home / "ca.pem"}
    root = certificate("vault test CA", authority.public_key(), "vault test CA", authority, ca=True)
    made["ca"].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    local = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    for name, names in (("server", local), ("client", ())):
        key = ec.generate_private_key(ec.SECP256R1())
        own = certificate(name, key.public_key(), "vault test CA", authority, names=names)
        made[name], made[f"{name}_key"] = home / f"{name}.pem", home / f"{name}.key"
        made[name].write_bytes(own.public_bytes(serialization.Encoding.PEM))
        private_file(made[f"{name}_key"], private_pem(key))
    return made


def client(facts, token):
    session = hvac.Client(url=facts["address"], token=token, verify=facts["ca_bundle"])
    # The caller's proxies and certificates have no effect.
    session.session.trust_env = False
    return session


def fill(server, facts, out):
    home = out / "run" / server
    ready = json.loads((home / "ready.json").read_text())
    facts |= ready
    vault = client(facts, ready["root_token"])
    vault.sys.enable_secrets_engine("transit")
    vault.sys.create_or_update_policy("signer", POLICY)
    identities(vault, facts, home)
    facts["keys"] = [key(vault, server, out, name, kind) for name, kind in KEYS.items()]


def identities(vault, facts, home):
    """Creates what can log in, one for each auth method, with the policy "signer"."""
    for method in ("approle", "cert", "jwt", "kubernetes", "userpass"):
        vault.sys.enable_auth_method(method)
    facts["token"] = vault.auth.token.create(policies=["signer"], ttl="24h")["auth"]["client_token"]
    facts["token_file"] = str(home / "token")
    private_file(facts["token_file"], facts["token"].encode())
    vault.auth.approle.create_or_update_approle("signer", token_policies=["signer"], token_ttl="1h")
    facts["role_id"] = vault.auth.approle.read_role_id("signer")["data"]["role_id"]
    facts["secret_id"] = vault.auth.approle.generate_secret_id("signer")["data"]["secret_id"]
    facts["client_certificate"], facts["client_key"] = str(home / "client.pem"), str(home / "client.key")
    vault.write("auth/cert/certs/signer", certificate=(home / "ca.pem").read_text(), allowed_common_names=["client"],
                token_policies=["signer"])
    issuer = ec.generate_private_key(ec.SECP256R1())
    pem = issuer.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    vault.write("auth/jwt/config", jwt_validation_pubkeys=[pem.decode()])
    vault.write("auth/jwt/role/signer", role_type="jwt", user_claim="sub", bound_audiences=["vault"], token_policies=["signer"])
    now = datetime.datetime.now(datetime.timezone.utc)
    claims = {"sub": "signer", "aud": "vault", "iat": now, "exp": now + datetime.timedelta(days=1)}
    facts["jwt_file"] = str(home / "token.jwt")
    private_file(facts["jwt_file"], jwt.encode(claims, issuer, "ES256").encode())
    account = {"serviceaccount": {"name": "signer", "uid": "1"}, "namespace": "build"}
    claims |= {"sub": "system:serviceaccount:build:signer", "aud": ["vault"], "kubernetes.io": account}
    facts["kubernetes_token_file"] = str(home / "kubernetes.jwt")
    private_file(facts["kubernetes_token_file"], jwt.encode(claims, issuer, "ES256").encode())
    # The cluster reviews a token for the owner of that token.
    vault.write("auth/kubernetes/config", kubernetes_host=facts["cluster_address"], disable_local_ca_jwt=True,
                kubernetes_ca_cert=(home / "ca.pem").read_text())
    vault.write("auth/kubernetes/role/signer", bound_service_account_names=["signer"],
                bound_service_account_namespaces=["build"], token_policies=["signer"])


def key(vault, server, out, name, kind):
    transit = vault.secrets.transit
    vault.write(f"transit/keys/{name}", type=kind, **({"key_size": 32} if kind == "hmac" else {}))
    if name == "rotated":
        transit.rotate_key(name)
        transit.rotate_key(name)
        transit.update_key_configuration(name, min_encryption_version=2, deletion_allowed=True)
    about = transit.read_key(name)["data"]
    facts = {"name": name, "type": kind, "enabled": True, "version": about["latest_version"], "bits": 256,
             "usage": {"hmac": "mac", "aes256-gcm96": "encrypt"}.get(kind, "sign"), "kind": kind.split("-")[0]}
    if kind not in ("hmac", "aes256-gcm96"):
        file = out / "public" / f"{server}-{name}.pem"
        file.write_bytes(public_pem(kind, about["keys"][str(about["latest_version"])]["public_key"]))
        facts["public"] = str(file)
        public = serialization.load_pem_public_key(file.read_bytes())
        if name in ("rsa2048", "p256"):
            # This version of Vault stores no certificates.
            own = certificate(f"vault-{name}", public, "cloud-kms-pkcs11 test CA", ec.generate_private_key(ec.SECP256R1()))
            facts["certificate"] = str(out / "certificates" / f"{server}-{name}.pem")
            pathlib.Path(facts["certificate"]).write_bytes(own.public_bytes(serialization.Encoding.PEM))
        facts["kind"] = kind.split("-")[0].replace("ecdsa", "ec")
        facts["bits"] = public.curve.key_size if facts["kind"] == "ec" else getattr(public, "key_size", 255)
        if facts["kind"] == "ec":
            facts["curve"] = {256: "P-256", 384: "P-384", 521: "P-521"}[public.curve.key_size]
    return facts


def public_pem(kind, text):
    """Transit returns Ed25519 keys as base64 of 32 bytes, and other keys in PEM."""
    if kind != "ed25519":
        return text.encode()
    public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# The check.


def encoded(data):
    return base64.b64encode(data).decode()


def checks(facts):
    """Returns a function that yields each operation of a key: its name, and a function that tests it."""
    vault = client(facts, facts["token"])

    def signed(name, path, data, **options):
        text = vault.write(f"transit/sign/{name}{path}", input=encoded(data), **options)["data"]["signature"]
        version, text = text.removeprefix("vault:v").split(":")
        return int(version), text

    def signs_ec(name, public, algorithm, hashed, marshaling):
        digest = digest_of(hashed, b"data")
        _, text = signed(name, f"/{algorithm}", digest, prehashed=True, marshaling_algorithm=marshaling)
        if marshaling == "asn1":
            signature = base64.b64decode(text)
        else:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            half = len(raw) // 2
            signature = utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        public.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashed)))

    def signs_rsa(name, public, algorithm, hashed, scheme, salt):
        digest = digest_of(hashed, b"data")
        options = {"salt_length": salt} if scheme == "pss" else {}
        _, text = signed(name, f"/{algorithm}", digest, prehashed=True, signature_algorithm=scheme, **options)
        padded = padding.PSS(padding.MGF1(hashed), len(digest) if salt == "hash" else padding.PSS.AUTO) if scheme == "pss" \
            else padding.PKCS1v15()
        public.verify(base64.b64decode(text), digest, padded, utils.Prehashed(hashed))

    def signs_raw(name, public):
        # A DigestInfo of SHA-256, which is signed as it is.
        digest = digest_of(hashes.SHA256(), b"data")
        info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
        _, text = signed(name, "/none", info, prehashed=True, signature_algorithm="pkcs1v15")
        public.verify(base64.b64decode(text), digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))

    def decrypts(name, public, hashed):
        text = public.encrypt(b"a secret", padding.OAEP(padding.MGF1(hashed), hashed, None))
        made = vault.write(f"transit/decrypt/{name}", ciphertext=f"vault:v1:{encoded(text)}")["data"]["plaintext"]
        expect(base64.b64decode(made) == b"a secret")

    def signs_message(name, public):
        public.verify(base64.b64decode(signed(name, "", b"data")[1]), b"data")

    def authenticates(name):
        made = vault.write(f"transit/hmac/{name}/sha2-256", input=encoded(b"data"))["data"]["hmac"]
        for data, good in ((b"data", True), (b"other", False)):
            answer = vault.write(f"transit/verify/{name}/sha2-256", input=encoded(data), hmac=made)["data"]["valid"]
            expect(answer == good)

    def of_key(key):
        name = key["name"]
        if key["usage"] == "mac":
            yield "HMAC", lambda: authenticates(name)
        if "public" not in key:
            return
        public = serialization.load_pem_public_key(pathlib.Path(key["public"]).read_bytes())
        if key["kind"] == "ed25519":
            yield "Ed25519", lambda: signs_message(name, public)
        for algorithm, hashed in HASHES.items():
            for marshaling in ("asn1", "jws") if key["kind"] == "ec" else ():
                yield f"ECDSA {algorithm} {marshaling}", lambda: signs_ec(name, public, algorithm, hashed, marshaling)
            for scheme, salt in (("pkcs1v15", ""), ("pss", "hash"), ("pss", "auto")) if key["kind"] == "rsa" else ():
                yield f"{scheme} {algorithm} {salt}", lambda: signs_rsa(name, public, algorithm, hashed, scheme, salt)
        if key["kind"] == "rsa":
            yield "pkcs1v15 none", lambda: signs_raw(name, public)
            yield "OAEP SHA-256", lambda: decrypts(name, public, hashes.SHA256())

    return of_key


def digest_of(hashed, data):
    digest = hashes.Hash(hashed)
    digest.update(data)
    return digest.finalize()
