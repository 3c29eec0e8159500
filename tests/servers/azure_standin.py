"""A small Key Vault for the client tests, in Python on the `cryptography` package.

NOT an independent implementation: no third-party Key Vault server can be
installed where the project is built (see README.md), so this one stands in.
It shares nothing with the module or with the project's emulator in Rust, was
written from Microsoft's REST reference, and is filled and checked by the
official Azure SDK for Python. What a real vault does beyond that reference it
cannot show.

Serves on 127.0.0.1:
  HTTPS  /keys..., /certificates...            the vault
         /{tenant}/oauth2/v2.0/token           client credentials, as the authority host
         /common/discovery/..., /.well-known/  what MSAL asks of an authority
  HTTP   /metadata/identity/oauth2/token       IMDS (header Metadata: true)
         /msi/token                            App Service (header X-IDENTITY-HEADER)
         /health
"""

import argparse
import base64
import hmac
import json
import re
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import pkcs12

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {
    "P-256": (ec.SECP256R1, "ES256", "256"),
    "P-384": (ec.SECP384R1, "ES384", "384"),
    "P-521": (ec.SECP521R1, "ES512", "512"),
    "P-256K": (ec.SECP256K1, "ES256K", "256"),
}
AUDIENCE = "https://vault.azure.net"
PAGE = 25
NAME = re.compile(r"^[0-9a-zA-Z-]{1,127}$")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Refusal(400, "BadParameter", "value is not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Refusal(Exception):
    """An error reply in Key Vault's own form."""

    def __init__(self, status, code, message, inner=None):
        super().__init__(message)
        error = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self.status, self.body = status, {"error": error}


class Key:
    def __init__(self, name, kty, private, operations, attributes, managed=False):
        self.name, self.kty, self.private = name, kty, private
        self.version = secrets.token_hex(16)
        self.operations, self.managed = operations, managed
        now = int(time.time())
        self.attributes = {
            "enabled": True, "created": now, "updated": now,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90, "exportable": False,
            **{k: v for k, v in (attributes or {}).items() if k in ("enabled", "nbf", "exp") and v is not None},
        }

    def curve(self):
        return next(n for n, (c, _, _) in CURVES.items() if isinstance(self.private.curve, c))

    def bundle(self, base):
        jwk = {"kid": f"{base}/keys/{self.name}/{self.version}", "kty": self.kty, "key_ops": self.operations}
        public = self.private.public_key().public_numbers()
        if self.kty.startswith("RSA"):
            jwk |= {"n": number(public.n), "e": number(public.e)}
        else:
            size = (self.private.curve.key_size + 7) // 8
            jwk |= {"crv": self.curve(), "x": number(public.x, size), "y": number(public.y, size)}
        reply = {"key": jwk, "attributes": self.attributes, "tags": {}}
        if self.managed:
            reply["managed"] = True
        return reply

    def usable(self, operation):
        if operation not in self.operations:
            raise Refusal(403, "Forbidden", f"Operation {operation} is not permitted on this key.", "ForbiddenByPolicy")
        now = time.time()
        if not self.attributes["enabled"]:
            raise Refusal(403, "Forbidden", f"Operation {operation} is not allowed on a disabled key.", "KeyDisabled")
        if now < self.attributes.get("nbf", 0):
            raise Refusal(403, "Forbidden", "The key is not yet valid.", "KeyNotYetValid")
        # As the service documents it, an expired key still decrypts and verifies.
        if operation in ("sign", "encrypt", "wrapKey") and now > self.attributes.get("exp", now):
            raise Refusal(403, "Forbidden", "The key is expired.", "KeyExpired")

    def digest_of(self, alg, digest):
        """The hash for alg, once the digest is exactly as long as that hash."""
        hashed = HASHES.get(alg[2:5]) if len(alg) in (5, 6) else None
        if hashed is None:
            raise Refusal(400, "BadParameter", f"Key and signing algorithm are incompatible: {alg}.")
        if len(digest) != hashed.digest_size:
            raise Refusal(400, "BadParameter", f"Invalid length of 'value': {len(digest)} bytes. "
                          f"RSA/EC algorithm {alg} requires {hashed.digest_size} bytes.")
        return hashed

    def scheme(self, alg, digest):
        hashed = self.digest_of(alg, digest)
        if self.kty.startswith("RSA") and alg in ("RS256", "RS384", "RS512"):
            return (padding.PKCS1v15(), utils.Prehashed(hashed))
        if self.kty.startswith("RSA") and alg in ("PS256", "PS384", "PS512"):
            return (padding.PSS(padding.MGF1(hashed), hashed.digest_size), utils.Prehashed(hashed))
        if self.kty.startswith("EC") and alg == CURVES[self.curve()][1]:
            return (ec.ECDSA(utils.Prehashed(hashed)),)
        raise Refusal(400, "BadParameter", f"Key and signing algorithm are incompatible: {alg}.")

    def sign(self, alg, digest):
        signature = self.private.sign(digest, *self.scheme(alg, digest))
        if self.kty.startswith("RSA"):
            return signature
        size = (self.private.curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(signature)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def verify(self, alg, digest, signature):
        if self.kty.startswith("EC"):
            half = len(signature) // 2
            signature = utils.encode_dss_signature(
                int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
        try:
            self.private.public_key().verify(signature, digest, *self.scheme(alg, digest))
            return True
        except Refusal:
            raise
        except Exception:
            return False

    def encryption(self, alg):
        schemes = {
            "RSA1_5": padding.PKCS1v15(),
            "RSA-OAEP": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
            "RSA-OAEP-256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
        }
        if not self.kty.startswith("RSA") or alg not in schemes:
            raise Refusal(400, "BadParameter", f"Key and encryption algorithm are incompatible: {alg}.")
        return schemes[alg]

    def transform(self, operation, alg, value):
        scheme = self.encryption(alg)
        try:
            if operation in ("encrypt", "wrapKey"):
                return self.private.public_key().encrypt(value, scheme)
            return self.private.decrypt(value, scheme)
        except ValueError as error:
            raise Refusal(400, "BadParameter", "The parameter is incorrect.") from error


class Vault:
    def __init__(self):
        self.lock = threading.Lock()
        self.keys = {}          # name: list of Key, the newest last
        self.certificates = {}  # name: (certificate, Key), in the order of creation

    def key(self, name, version=None):
        versions = self.keys.get(name, [])
        for key in reversed(versions):
            if version in (None, "", key.version):
                return key
        raise Refusal(404, "KeyNotFound", f"A key with (name/id) {name}/{version or ''} was not found in this key vault.")

    def create(self, name, body):
        kty = body.get("kty")
        if kty in ("RSA", "RSA-HSM"):
            size = body.get("key_size", 2048)
            if size not in (2048, 3072, 4096):
                raise Refusal(400, "BadParameter", f"Invalid key_size {size}.")
            private = rsa.generate_private_key(65537, size)
            operations = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
        elif kty in ("EC", "EC-HSM"):
            if body.get("crv", "P-256") not in CURVES:
                raise Refusal(400, "BadParameter", "Invalid crv.")
            private = ec.generate_private_key(CURVES[body.get("crv", "P-256")][0]())
            operations = ["sign", "verify"]
        else:
            raise Refusal(400, "BadParameter", f"kty {kty} is not supported.")
        return self.add(Key(name, kty, private, body.get("key_ops") or operations, body.get("attributes")))

    def add(self, key):
        with self.lock:
            self.keys.setdefault(key.name, []).append(key)
        return key

    def import_certificate(self, name, body):
        try:
            private, certificate, _ = pkcs12.load_key_and_certificates(
                base64.b64decode(body["value"], validate=True), (body.get("pwd") or "").encode())
        except (KeyError, ValueError) as error:
            raise Refusal(400, "BadParameter", "value is not a PKCS #12 file in base64") from error
        kind = "RSA" if isinstance(private, rsa.RSAPrivateKey) else "EC"
        operations = ["sign", "verify"] + (["encrypt", "decrypt", "wrapKey", "unwrapKey"] if kind == "RSA" else [])
        key = self.add(Key(name, kind, private, operations, None, managed=True))
        with self.lock:
            self.certificates[name] = (certificate, key)
        return self.certificate(name)

    def certificate(self, name, version=None):
        certificate, key = self.certificates.get(name, (None, None))
        if not key or version not in (None, "", key.version):
            raise Refusal(404, "CertificateNotFound", f"A certificate with (name/id) {name} was not found in this key vault.")
        return certificate, key


class Tokens:
    """Opaque bearer tokens: only those given out here are taken, until they expire."""

    def __init__(self, tenant, client, secret):
        self.tenant, self.client, self.secret = tenant, client, secret
        self.lock, self.given = threading.Lock(), {}

    def give(self, audience):
        token, lifetime = secrets.token_urlsafe(48), 3600
        with self.lock:
            self.given[token] = (time.time() + lifetime, audience)
        return token, lifetime

    def good(self, header):
        scheme, _, token = (header or "").partition(" ")
        with self.lock:
            until, audience = self.given.get(token.strip(), (0, None))
        return scheme.lower() == "bearer" and audience == AUDIENCE and time.time() < until


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for headers and body: otherwise Nagle and delayed ACK cost 40 ms a reply.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def reply(self, status, body, headers=()):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-ms-request-id", secrets.token_hex(16))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        try:
            self.answer(url.path.rstrip("/"), query, body)
        except Refusal as refusal:
            self.reply(refusal.status, refusal.body)
        except Exception as error:
            self.reply(500, {"error": {"code": "InternalServerError", "message": f"{type(error).__name__}: {error}"}})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


class VaultHandler(Handler):
    def answer(self, path, query, body):
        if path.startswith("/keys") or path.startswith("/certificates"):
            self.answer_vault(path, query, body)
        else:
            self.answer_authority(path, query, body)

    # The authority: only what the client-credentials flow asks for.

    def answer_authority(self, path, query, body):
        tokens, base = self.server.tokens, self.server.base
        if path == "/common/discovery/instance":
            self.reply(200, {"tenant_discovery_endpoint": f"{base}/{tokens.tenant}/v2.0/.well-known/openid-configuration",
                             "api-version": "1.1", "metadata": []})
        elif path.endswith("/.well-known/openid-configuration"):
            self.reply(200, {"issuer": f"{base}/{tokens.tenant}/v2.0",
                             "authorization_endpoint": f"{base}/{tokens.tenant}/oauth2/v2.0/authorize",
                             "token_endpoint": f"{base}/{tokens.tenant}/oauth2/v2.0/token"})
        elif path == f"/{tokens.tenant}/oauth2/v2.0/token" and self.command == "POST":
            form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
            self.client_credentials(form)
        else:
            raise Refusal(404, "NotFound", "no such resource")

    def client_credentials(self, form):
        tokens = self.server.tokens
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            return self.reply(400, {"error": "invalid_request", "error_description": "AADSTS900144: bad grant or scope"})
        right = form.get("client_id") == tokens.client and hmac.compare_digest(form.get("client_secret", ""), tokens.secret)
        if not right:
            return self.reply(401, {"error": "invalid_client", "error_description":
                                    "AADSTS7000215: Invalid client secret provided.", "error_codes": [7000215]})
        token, lifetime = tokens.give(form["scope"].removesuffix("/.default"))
        self.reply(200, {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token})

    # The vault.

    def answer_vault(self, path, query, body):
        if not self.server.tokens.good(self.headers.get("Authorization")):
            challenge = f'Bearer authorization="{self.server.base}/{self.server.tokens.tenant}", resource="{AUDIENCE}"'
            return self.reply(401, {"error": {"code": "Unauthorized", "message": "AKV10000: Request is missing a Bearer or PoP token."}},
                              [("WWW-Authenticate", challenge)])
        if "api-version" not in query:
            raise Refusal(400, "BadParameter", "api-version must be specified")
        try:
            fields = json.loads(body) if body else {}
        except ValueError as error:
            raise Refusal(400, "BadParameter", "the body is not JSON") from error
        parts = path.split("/")[1:]
        if len(parts) > 1 and not NAME.match(parts[1]):
            raise Refusal(400, "BadParameter", "invalid name")
        self.route(parts[0], parts[1:], query, fields)

    def route(self, collection, rest, query, fields):
        vault, base, method = self.server.vault, self.server.base, self.command
        if collection == "keys":
            if method == "GET" and not rest:
                return self.page("keys", [self.key_item(vault.key(n)) for n in sorted(vault.keys)], query)
            if method == "GET" and rest[1:] == ["versions"]:
                vault.key(rest[0])
                return self.page(f"keys/{rest[0]}/versions",
                                 [self.key_item(k, True) for k in vault.keys[rest[0]]], query)
            if method == "GET" and len(rest) <= 2:
                return self.reply(200, vault.key(*rest).bundle(base))
            if method == "POST" and rest[1:] == ["create"]:
                return self.reply(200, vault.create(rest[0], fields).bundle(base))
            if method == "PATCH" and len(rest) in (1, 2):
                return self.update(vault.key(*rest), fields)
            # The version may be left out of an operation: "/keys/{name}//sign" or "/keys/{name}/sign".
            if method == "POST" and len(rest) in (2, 3):
                return self.operate(vault.key(rest[0], rest[1] if len(rest) == 3 else None), rest[-1], fields)
        if collection == "certificates":
            if method == "GET" and not rest:
                return self.page("certificates", [self.certificate_item(n) for n in sorted(vault.certificates)], query)
            if method == "GET" and len(rest) <= 2:
                return self.reply(200, self.certificate(*vault.certificate(*rest)))
            if method == "POST" and rest[1:] == ["import"]:
                return self.reply(200, self.certificate(*vault.import_certificate(rest[0], fields)))
        raise Refusal(404, "NotFound", "no such resource")

    def page(self, path, items, query):
        start, size = int(query.get("$skiptoken", 0)), min(int(query.get("maxresults", PAGE)), PAGE)
        end = start + size
        link = None
        if end < len(items):
            link = f"{self.server.base}/{path}?api-version={query['api-version']}&$skiptoken={end}&maxresults={size}"
        self.reply(200, {"value": items[start:end], "nextLink": link})

    def key_item(self, key, versioned=False):
        kid = f"{self.server.base}/keys/{key.name}" + (f"/{key.version}" if versioned else "")
        item = {"kid": kid, "attributes": key.attributes, "tags": {}}
        return item | ({"managed": True} if key.managed else {})

    def certificate_item(self, name):
        certificate, key = self.server.vault.certificates[name]
        return {"id": f"{self.server.base}/certificates/{name}", "attributes": key.attributes, "subject": "",
                "x5t": b64(certificate.fingerprint(hashes.SHA1())), "tags": {}}

    def certificate(self, certificate, key):
        base, where = self.server.base, f"{key.name}/{key.version}"
        return {
            "id": f"{base}/certificates/{where}", "kid": f"{base}/keys/{where}", "sid": f"{base}/secrets/{where}",
            "x5t": b64(certificate.fingerprint(hashes.SHA1())),
            # Standard base64 here, unlike the rest of the interface.
            "cer": base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode(),
            "attributes": key.attributes, "tags": {}, "contentType": "application/x-pkcs12",
            "policy": {"id": f"{base}/certificates/{key.name}/policy", "issuer": {"name": "Unknown"},
                       "key_props": {"exportable": True, "kty": key.kty, "reuse_key": False},
                       "secret_props": {"contentType": "application/x-pkcs12"},
                       "x509_props": {"subject": certificate.subject.rfc4514_string()},
                       "attributes": {"enabled": True}},
        }

    def update(self, key, fields):
        for name in ("enabled", "nbf", "exp"):
            if (fields.get("attributes") or {}).get(name) is not None:
                key.attributes[name] = fields["attributes"][name]
        key.attributes["updated"] = int(time.time())
        self.reply(200, key.bundle(self.server.base))

    def operate(self, key, operation, fields):
        names = {"sign": "sign", "verify": "verify", "encrypt": "encrypt", "decrypt": "decrypt",
                 "wrapkey": "wrapKey", "unwrapkey": "unwrapKey"}
        if operation not in names:
            raise Refusal(404, "NotFound", "no such operation")
        key.usable(names[operation])
        alg = fields.get("alg") or ""
        if operation == "verify":
            return self.reply(200, {"value": key.verify(alg, unb64(fields["digest"]), unb64(fields["value"]))})
        value = unb64(fields.get("value") or "")
        result = key.sign(alg, value) if operation == "sign" else key.transform(names[operation], alg, value)
        self.reply(200, {"kid": f"{self.server.base}/keys/{key.name}/{key.version}", "value": b64(result)})


class IdentityHandler(Handler):
    def answer(self, path, query, body):
        if path == "/health":
            return self.reply(200, {"status": "ready"})
        resource = query.get("resource", "").rstrip("/")
        if path == "/metadata/identity/oauth2/token":
            if self.headers.get("Metadata") != "true":
                return self.reply(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})
        elif path == "/msi/token":
            if not hmac.compare_digest(self.headers.get("X-IDENTITY-HEADER") or "", self.server.identity_header):
                return self.reply(401, {"error": "unauthorized", "error_description": "wrong X-IDENTITY-HEADER"})
        else:
            raise Refusal(404, "NotFound", "no such resource")
        if "api-version" not in query or not resource:
            return self.reply(400, {"error": "invalid_request", "error_description": "api-version and resource are required"})
        token, lifetime = self.server.tokens.give(resource)
        # The numbers are strings here, as the real endpoint has them.
        self.reply(200, {"access_token": token, "expires_in": str(lifetime), "expires_on": str(int(time.time()) + lifetime),
                         "resource": resource, "token_type": "Bearer"})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context = None

    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread, else one slow client stops all.
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request, client_address):
        pass  # a client that went away


def main():
    options = argparse.ArgumentParser()
    for name in ("port", "identity-port"):
        options.add_argument(f"--{name}", type=int, required=True)
    for name in ("certificate", "key", "tenant", "client", "secret-file", "identity-header-file"):
        options.add_argument(f"--{name}", required=True)
    given = options.parse_args()

    tokens = Tokens(given.tenant, given.client, open(given.secret_file).read().strip())
    vault = Server(("127.0.0.1", given.port), VaultHandler)
    vault.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    vault.context.load_cert_chain(given.certificate, given.key)
    vault.base, vault.vault, vault.tokens = f"https://localhost:{given.port}", Vault(), tokens
    identity = Server(("127.0.0.1", given.identity_port), IdentityHandler)
    identity.tokens, identity.identity_header = tokens, open(given.identity_header_file).read().strip()
    threading.Thread(target=identity.serve_forever, daemon=True).start()
    vault.serve_forever()


if __name__ == "__main__":
    main()
