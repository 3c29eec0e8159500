"""Google Cloud KMS: the keys that are created in the emulator, and the check of its keys, errors and credentials.

Everything is done with Google's own client and its REST transport. cryptography verifies the signatures; those of SLH-DSA, which it
lacks, the package slh-dsa.
"""

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.credentials
import google.oauth2.service_account
import slhdsa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, utils
from google.api_core import exceptions
from google.cloud import kms
from google.protobuf import field_mask_pb2

from provision import certificate, control, describe, expect, private_file

CRYPTOGRAPHIC = {
    "sign": [f"RSA_SIGN_{scheme}_{size}" for scheme in ("PKCS1", "PSS")
             for size in ("2048_SHA256", "3072_SHA256", "4096_SHA256", "4096_SHA512")]
            + [f"RSA_SIGN_RAW_PKCS1_{bits}" for bits in (2048, 3072, 4096)]
            + ["EC_SIGN_P256_SHA256", "EC_SIGN_P384_SHA384", "EC_SIGN_SECP256K1_SHA256", "EC_SIGN_ED25519"]
            + [f"PQ_SIGN_ML_DSA_{size}{more}" for size in (44, 65, 87) for more in ("", "_EXTERNAL_MU")]
            + ["PQ_SIGN_SLH_DSA_SHA2_128S", "PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256"],
    "decrypt": [f"RSA_DECRYPT_OAEP_{size}" for size in ("2048_SHA1", "3072_SHA1", "4096_SHA1", "2048_SHA256", "3072_SHA256",
                                                        "4096_SHA256", "4096_SHA512")],
    "mac": [f"HMAC_SHA{bits}" for bits in (1, 224, 256, 384, 512)],
}
# The keys whose certificates the client scripts use. Cloud KMS stores none.
CERTIFIED = ("RSA_SIGN_RAW_PKCS1_2048", "RSA_SIGN_PKCS1_2048_SHA256", "RSA_SIGN_PSS_2048_SHA256", "EC_SIGN_P256_SHA256")
PURPOSES = {"sign": "ASYMMETRIC_SIGN", "decrypt": "ASYMMETRIC_DECRYPT", "mac": "MAC"}
Algorithm = kms.CryptoKeyVersion.CryptoKeyVersionAlgorithm
State = kms.CryptoKeyVersion.CryptoKeyVersionState
HASHES = {"SHA1": hashes.SHA1(), "SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}
ML_DSA = {"44": mldsa.MLDSA44PublicKey, "65": mldsa.MLDSA65PublicKey, "87": mldsa.MLDSA87PublicKey}
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
PARENT = "projects/emulator-project/locations/europe-west3"
RING = f"{PARENT}/keyRings/contract"


def client(facts, credentials=None):
    if credentials is None:
        credentials = google.oauth2.service_account.Credentials.from_service_account_file(facts["credentials_file"])
    return kms.KeyManagementServiceClient(credentials=credentials, transport="rest",
                                          client_options={"api_endpoint": facts["endpoint"]})


def key_name(algorithm):
    return algorithm.lower().replace("_", "-")


def crc32c(data):
    """CRC-32C, bit by bit: the polynomial 0x1EDC6F41, reflected."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


# Filling the server.


def fill(server, facts, out):
    facts["credentials_file"] = str(out / "run" / server / "service-account.json")
    private_file(facts["credentials_file"], json.dumps(fetched(facts, "google/local/service-account.json")).encode())
    service = client(facts)
    service.create_key_ring(parent=PARENT, key_ring_id="contract", key_ring={})
    facts["key_ring"], facts["keys"] = RING, []
    for usage, algorithms in CRYPTOGRAPHIC.items():
        for algorithm in algorithms:
            facts["keys"].append(create(service, server, out, key_name(algorithm), usage, algorithm))
    made = create(service, server, out, "disabled", "sign", "EC_SIGN_P256_SHA256")
    service.update_crypto_key_version(crypto_key_version={"name": made["version"], "state": State.DISABLED},
                                      update_mask=field_mask_pb2.FieldMask(paths=["state"]))
    facts["keys"].append({**made, "enabled": False})


def create(service, server, out, name, usage, algorithm):
    key = service.create_crypto_key(parent=RING, crypto_key_id=name, crypto_key={
        "purpose": PURPOSES[usage], "version_template": {"algorithm": algorithm, "protection_level": "HSM"}})
    version = f"{key.name}/cryptoKeyVersions/1"
    until = time.monotonic() + 60
    while service.get_crypto_key_version(name=version).state != State.ENABLED:
        expect(time.monotonic() < until)
    more = {"type": algorithm, "id": key.name, "version": version}
    if usage == "mac":
        return {"name": name, "usage": usage, "enabled": True, "kind": "hmac", "bits": int(algorithm.removeprefix("HMAC_SHA")), **more}
    if "SLH_DSA" in algorithm:
        file = out / "public" / f"{server}-{name}.pem"
        slh_dsa_key(service, version).to_pkcs(str(file))
        return {"name": name, "usage": usage, "enabled": True, "kind": "slh-dsa", "bits": 256, "public": str(file), **more}
    public = public_key(service, version, algorithm)
    own = None
    if algorithm in CERTIFIED and name != "disabled":
        own = certificate(f"google-{name}", public, "cloud-kms-pkcs11 test CA", ec.generate_private_key(ec.SECP256R1()))
    return describe(out, server, name, public, usage, cert=own, **more)


def public_key(service, version, algorithm):
    """The public key, whose checksum and name are right."""
    if algorithm.startswith("PQ_SIGN_ML_DSA"):
        return ML_DSA[algorithm.split("_")[4]].from_public_bytes(exported(service, version, "NIST_PQC"))
    key = service.get_public_key(name=version)
    expect(key.name == version and key.algorithm == Algorithm[algorithm] and key.pem_crc32c == crc32c(key.pem.encode()))
    return serialization.load_pem_public_key(key.pem.encode())


def exported(service, version, form):
    key = service.get_public_key(request={"name": version, "public_key_format": form}).public_key
    expect(key.crc32c_checksum == crc32c(key.data))
    return key.data


def slh_dsa_key(service, version):
    return slhdsa.PublicKey.from_digest(exported(service, version, "NIST_PQC"), slhdsa.sha2_128s)


# The check of the keys.


def checks(facts):
    """Returns a function that yields each operation of a key: its name, and a function that tests it."""
    service = client(facts)

    def of_key(key):
        yield "list", lambda: lists(service, key)
        yield "public key", lambda: public_keys(service, key)
        if key["usage"] == "mac":
            yield "MAC", lambda: authenticates(service, key)
        elif key["usage"] == "decrypt":
            yield "OAEP", lambda: decrypts(service, key)
        else:
            yield "signature", lambda: signs(service, key)
        if key["enabled"] and key["name"] == key_name("EC_SIGN_P256_SHA256"):
            yield from errors(facts, service, key)
            yield from management(service, key)
            yield from identities(facts, key)

    return of_key


def lists(service, key):
    names = [one.name for one in service.list_crypto_keys(request={"parent": RING, "page_size": 7})]
    expect(key["id"] in names and len(set(names)) == len(names))
    versions = list(service.list_crypto_key_versions(request={"parent": key["id"], "filter": "state=ENABLED"}))
    # A disabled key has no such version: service.proto, filters.
    if not versions:
        raise ValueError("the key is disabled")
    expect([(one.name, one.algorithm.name, one.state) for one in versions] == [(key["version"], key["type"], State.ENABLED)])
    expect(service.get_crypto_key(name=key["id"]).purpose.name == PURPOSES[key["usage"]])


def public_keys(service, key):
    if key["usage"] == "mac":
        return rejects(exceptions.BadRequest, lambda: service.get_public_key(name=key["version"]), "do not contain a public key")
    if key["kind"] == "slh-dsa":
        expect(len(exported(service, key["version"], "NIST_PQC")) == 32)
        return rejects(exceptions.BadRequest, lambda: exported(service, key["version"], "PEM"), "NIST_PQC")
    public = public_key(service, key["version"], key["type"])
    expect(serialization.load_der_public_key(exported(service, key["version"], "DER")) == public)
    expect(serialization.load_pem_public_key(exported(service, key["version"], "PEM")) == public)
    if key["type"].startswith("PQ"):
        rejects(exceptions.BadRequest, lambda: service.get_public_key(name=key["version"]), "NIST_PQC")
    else:
        rejects(exceptions.BadRequest, lambda: exported(service, key["version"], "NIST_PQC"), "not supported")


def signs(service, key):
    """A signature of data, and of another form of it that the algorithm takes; each is wrong for other data."""
    algorithm, data = key["type"], os.urandom(100)
    verify = verifier(service, key)
    inputs = [{"data": data}] if not algorithm.endswith("EXTERNAL_MU") else []
    if digest := digest_of(service, key, data):
        inputs.append({"digest": digest})
    if "RAW" in algorithm:
        # The DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1), which is signed as it is.
        inputs = [{"data": bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()}]
    for sent in inputs:
        ((field, value),) = sent.items()
        sent[f"{field}_crc32c"] = crc32c(value if field == "data" else next(iter(value.values())))
        answer = service.asymmetric_sign(request={"name": key["version"], **sent})
        expect(answer.name == key["version"] and answer.protection_level.name == "HSM")
        expect(answer.signature_crc32c == crc32c(answer.signature))
        expect((answer.verified_data_crc32c, answer.verified_digest_crc32c) == (field == "data", field == "digest"))
        verify(answer.signature, data)
        with contextlib.suppress(Exception):
            verify(answer.signature, data + b"!")
            raise SystemExit(f"{algorithm}: the signature of other data was accepted")


def digest_of(service, key, data):
    algorithm = key["type"]
    if algorithm.endswith("EXTERNAL_MU"):
        # FIPS 204 section 6.2, with an empty context.
        tr = hashlib.shake_256(exported(service, key["version"], "NIST_PQC")).digest(64)
        return {"external_mu": hashlib.shake_256(tr + b"\0\0" + data).digest(64)}
    name = algorithm.rpartition("_")[2].lower()
    return {name: hashlib.new(name, data).digest()} if name.startswith("sha") else None


def verifier(service, key):
    algorithm = key["type"]
    if key["kind"] == "slh-dsa":
        public = slh_dsa_key(service, key["version"])
        verify = public.verify_hash if "HASH" in algorithm else public.verify_pure
        return lambda signature, data: expect(verify(data, signature))
    public = public_key(service, key["version"], algorithm)
    hashed = HASHES.get(algorithm.rpartition("_")[2], hashes.SHA256())
    if key["kind"] == "ec":
        return lambda signature, data: public.verify(signature, data, ec.ECDSA(hashed))
    if key["kind"] == "rsa":
        pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
        scheme = pss if "PSS" in algorithm else padding.PKCS1v15()
        return lambda signature, data: public.verify(signature, data, scheme, hashed)
    return lambda signature, data: public.verify(signature, data)


def decrypts(service, key):
    hashed = HASHES[key["type"].rpartition("_")[2]]
    public = public_key(service, key["version"], key["type"])
    text = public.encrypt(b"a secret", padding.OAEP(padding.MGF1(hashed), hashed, None))
    answer = service.asymmetric_decrypt(request={"name": key["version"], "ciphertext": text, "ciphertext_crc32c": crc32c(text)})
    expect(answer.plaintext == b"a secret" and answer.plaintext_crc32c == crc32c(b"a secret") and answer.verified_ciphertext_crc32c)
    spoilt = bytes([*text[:-1], text[-1] ^ 1])
    rejects(exceptions.BadRequest, lambda: service.asymmetric_decrypt(name=key["version"], ciphertext=spoilt), "Decryption failed")


def authenticates(service, key):
    version = key["version"]
    answer = service.mac_sign(request={"name": version, "data": b"data", "data_crc32c": crc32c(b"data")})
    length = {1: 20}.get(key["bits"], key["bits"] // 8)
    expect(len(answer.mac) == length and answer.mac_crc32c == crc32c(answer.mac) and answer.verified_data_crc32c)
    for data, good in ((b"data", True), (b"other", False)):
        request = {"name": version, "data": data, "mac": answer.mac, "data_crc32c": crc32c(data), "mac_crc32c": crc32c(answer.mac)}
        found = service.mac_verify(request=request)
        expect((found.success, found.verified_success_integrity) == (good, good))
        expect(found.verified_data_crc32c and found.verified_mac_crc32c)


class Stranger(google.oauth2.credentials.Credentials):
    """A token that nobody has issued, and that can't be renewed."""

    def refresh(self, request):
        pass


def verifies_mac(facts, version, data, mac):
    return client(facts).mac_verify(request={"name": version, "data": data, "mac": mac}).success


# The check of the errors, and of what Google's client makes of them.


def rejects(kind, attempt, text, reason=None):
    """The attempt fails with an exception of that class, text and reason, and the exception is returned."""
    try:
        attempt()
    except kind as error:
        if text not in error.message or reason != error.reason:
            raise ValueError(f"{error.message} ({error.reason})") from error
        return error
    raise ValueError(f"no {kind.__name__}")


def details(error, kind):
    return [detail for detail in error.details if detail["@type"] == f"type.googleapis.com/google.rpc.{kind}"]


@contextlib.contextmanager
def fault(facts, action, operation="google.AsymmetricSign"):
    control(facts, "faults", {"operation": operation, "times": 1, "action": action})
    yield
    expect(fetched(facts, "faults") == [])


def fetched(facts, path):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{facts['control']}/{path}") as reply:
        return json.loads(reply.read())


def errors(facts, service, key):
    digest = hashlib.sha256(b"data").digest()

    def sign(name=key["version"], **more):
        return service.asymmetric_sign(request={"name": name, **(more or {"digest": {"sha256": digest}})}, retry=None, timeout=10)

    def forged(action, kind, text, reason, check=lambda error: None):
        with fault(facts, action):
            check(rejects(kind, sign, text, reason))

    def permission(error):
        expect(error.metadata == {"permission": "cloudkms.cryptoKeyVersions.useToSign", "resource": key["id"]})

    def activation(error):
        expect("cloudkms.googleapis.com" in error.metadata["activationUrl"])

    def delay(error):
        expect([one["retryDelay"] for one in details(error, "RetryInfo")] == ["7s"])

    def expired():
        """Google's client signs in once more and repeats the request."""
        before = fetched(facts, "counts")["google.AsymmetricSign"]
        with fault(facts, "expired_token"):
            sign()
        expect(fetched(facts, "counts")["google.AsymmetricSign"] == before + 2)

    def disabled(state, text):
        other = service.create_crypto_key_version(parent=key["id"], crypto_key_version={}).name
        control(facts, f"google/keys/{other}/state", {"state": state})
        error = rejects(exceptions.BadRequest, lambda: sign(other), text)
        found = [(one["type"], one["subject"]) for detail in details(error, "PreconditionFailure") for one in detail["violations"]]
        expect(found == [(f"KEY_{state}", other)])
        rejects(exceptions.BadRequest, lambda: service.get_public_key(name=other), text)

    wrong = {"digest": {"sha256": digest}, "digest_crc32c": crc32c(digest) ^ 1}
    long = {"data": bytes(70_000)}
    stranger = client(facts, Stranger("ya29.unknown"))
    yield "no such key", lambda: rejects(exceptions.NotFound, lambda: sign(f"{RING}/cryptoKeys/none/cryptoKeyVersions/1"), "CryptoKey")
    yield "no such version", lambda: rejects(exceptions.NotFound, lambda: sign(f"{key['id']}/cryptoKeyVersions/99"), "CryptoKeyVersion")
    yield "wrong checksum", lambda: rejects(exceptions.BadRequest, lambda: sign(**wrong), "digest_crc32c")
    yield "wrong digest", lambda: rejects(exceptions.BadRequest, lambda: sign(digest={"sha512": bytes(64)}), "digest.sha256")
    yield "no digest", lambda: rejects(exceptions.BadRequest, lambda: sign(data=b""), "must be set")
    yield "long data", lambda: rejects(exceptions.BadRequest, lambda: sign(**long), "at most")
    for state in ("DISABLED", "DESTROYED", "DESTROY_SCHEDULED", "PENDING_GENERATION", "PENDING_IMPORT", "IMPORT_FAILED", "GENERATION_FAILED"):
        yield state, lambda: disabled(state, f"is not enabled, current state is: {state}.")
    yield "unknown token", lambda: rejects(exceptions.Unauthorized, lambda: stranger.get_crypto_key(name=key["id"]),
                                           "invalid authentication credentials", "ACCESS_TOKEN_TYPE_UNSUPPORTED")
    yield "denied", lambda: forged("deny", exceptions.Forbidden, "useToSign' denied", "IAM_PERMISSION_DENIED", permission)
    yield "API", lambda: forged("service_disabled", exceptions.Forbidden, "has not been used", "SERVICE_DISABLED", activation)
    yield "VPC", lambda: forged("policy_violated", exceptions.Forbidden, "organization's policy", "SECURITY_POLICY_VIOLATED")
    yield "expired", expired
    yield "quota", lambda: forged({"throttle": {"retry_after": 7}}, exceptions.TooManyRequests, "Quota exceeded", "RATE_LIMIT_EXCEEDED", delay)
    unavailable = {"error": {"status": 503, "code": "UNAVAILABLE", "message": "The service is currently unavailable."}}
    yield "unavailable", lambda: forged(unavailable, exceptions.ServiceUnavailable, "currently unavailable", None)


# The check of the management of keys, and of random bytes.


def management(service, key):
    def labels():
        mask = field_mask_pb2.FieldMask(paths=["labels"])
        service.update_crypto_key(crypto_key={"name": key["id"], "labels": {"pkcs11-label": "release_1"}}, update_mask=mask)
        expect(dict(service.get_crypto_key(name=key["id"]).labels) == {"pkcs11-label": "release_1"})
        bad = {"name": key["id"], "labels": {"pkcs11-label": "Release"}}
        rejects(exceptions.BadRequest, lambda: service.update_crypto_key(crypto_key=bad, update_mask=mask), "not valid")
        service.update_crypto_key(crypto_key={"name": key["id"]}, update_mask=mask)
        expect(not service.get_crypto_key(name=key["id"]).labels)

    def life():
        version = service.create_crypto_key_version(parent=key["id"], crypto_key_version={})
        expect(version.state == State.PENDING_GENERATION)
        expect(service.get_crypto_key_version(name=version.name).state == State.ENABLED)
        destroyed = service.destroy_crypto_key_version(name=version.name)
        expect(destroyed.state == State.DESTROY_SCHEDULED and (destroyed.destroy_time - destroyed.create_time).days == 30)
        rejects(exceptions.BadRequest, lambda: service.destroy_crypto_key_version(name=version.name), "current state is")
        expect(service.restore_crypto_key_version(name=version.name).state == State.DISABLED)
        enabled = service.update_crypto_key_version(crypto_key_version={"name": version.name, "state": State.ENABLED},
                                                    update_mask=field_mask_pb2.FieldMask(paths=["state"]))
        expect(enabled.state == State.ENABLED)
        service.destroy_crypto_key_version(name=version.name)

    def random():
        made = service.generate_random_bytes(location=PARENT, length_bytes=64, protection_level="HSM")
        expect(len(made.data) == 64 and made.data_crc32c == crc32c(made.data) and made.data != bytes(64))
        for length, level in ((7, "HSM"), (1025, "HSM"), (8, "SOFTWARE")):
            attempt = lambda: service.generate_random_bytes(location=PARENT, length_bytes=length, protection_level=level)
            rejects(exceptions.BadRequest, attempt, "")

    def exists():
        rejects(exceptions.Conflict, lambda: service.create_key_ring(parent=PARENT, key_ring_id="contract", key_ring={}), "already exists")
        expect(RING in [ring.name for ring in service.list_key_rings(parent=PARENT)])

    yield "labels", labels
    yield "life of a version", life
    yield "random bytes", random
    yield "key rings", exists


# On a machine at Google, application default credentials are those of its metadata server.
MACHINE = """
import sys, google.auth
from google.cloud import kms
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
service = kms.KeyManagementServiceClient(credentials=credentials, transport="rest", client_options={"api_endpoint": sys.argv[1]})
print(project, service.get_crypto_key(name=sys.argv[2]).name)
"""

# The check of the credentials, under the real names through the emulator's proxy.


def identities(facts, key):
    home = pathlib.Path(facts["credentials_file"]).parent

    @contextlib.contextmanager
    def environment(**names):
        before = dict(os.environ)
        os.environ.update(names)
        yield
        os.environ.clear()
        os.environ.update(before)

    def signs_in(name, content):
        """Reads the file as an application would, and asks the real host for a key."""
        private_file(home / name, json.dumps(content).encode())
        with environment(HTTPS_PROXY=facts["endpoint"], REQUESTS_CA_BUNDLE=facts["ca_bundle"], NO_PROXY=""):
            credentials, _ = google.auth.load_credentials_from_file(str(home / name), scopes=SCOPES)
            service = kms.KeyManagementServiceClient(credentials=credentials, transport="rest")
            expect(service.get_crypto_key(name=key["id"]).name == key["id"])

    def counted(operation, attempt):
        before = fetched(facts, "counts").get(operation, 0)
        attempt()
        expect(fetched(facts, "counts").get(operation, 0) == before + 1)

    def federated():
        private_file(home / "subject-token", b"emulator-subject-token")
        pool = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/emulator"
        return {"type": "external_account", "audience": pool, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": "https://sts.googleapis.com/v1/token", "credential_source": {"file": str(home / "subject-token")}}

    def of_aws():
        """A workload at AWS: the subject token is a signed request."""
        file = {**federated(), "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request", "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"}}
        keys = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "emulator-access-key", "AWS_SECRET_ACCESS_KEY": "emulator-secret-key"}
        with environment(**keys):
            signs_in("aws.json", file)
        with environment(**keys | {"AWS_SECRET_ACCESS_KEY": "wrong"}):
            try:
                signs_in("aws.json", file)
            except google.auth.exceptions.OAuthError as error:
                expect("invalid_grant" in str(error))
            else:
                raise ValueError("a wrong secret was accepted")

    def token_endpoint():
        account = google.oauth2.service_account.Credentials.from_service_account_info(
            fetched(facts, "google/service-account.json"), scopes=SCOPES)
        with environment(HTTPS_PROXY=facts["endpoint"], REQUESTS_CA_BUNDLE=facts["ca_bundle"], NO_PROXY=""):
            account.refresh(google.auth.transport.requests.Request())
        expect(client(facts, account).get_crypto_key(name=key["id"]).name == key["id"])

    def machine():
        # The client reads these variables when it is loaded.
        place = facts["endpoint"].removeprefix("http://")
        env = {"PATH": os.environ["PATH"], "GCE_METADATA_HOST": place, "GCE_METADATA_IP": place}
        found = subprocess.run([sys.executable, "-c", MACHINE, facts["endpoint"], key["id"]], env=env, capture_output=True, text=True)
        expect(found.returncode == 0 and found.stdout.split() == ["emulator-project", key["id"]])

    yield "self-signed JWT", lambda: signs_in("real-names.json", fetched(facts, "google/service-account.json"))
    yield "JWT for a token", lambda: counted("google.Token", token_endpoint)
    yield "refresh token", lambda: counted("google.Token", lambda: signs_in("user.json", fetched(facts, "google/authorized-user.json")))
    yield "federation", lambda: counted("google.StsToken", lambda: signs_in("federated.json", federated()))
    yield "federation of AWS", of_aws
    impersonated = lambda: signs_in("impersonated.json", fetched(facts, "google/impersonated.json"))
    yield "impersonation", lambda: counted("google.GenerateAccessToken", impersonated)
    yield "machine", lambda: counted("google.MetadataToken", machine)
