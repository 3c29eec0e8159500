"""mutual.py PORT CERTIFICATE KEY CA LOG: an HTTPS server on 127.0.0.1 that requires a client certificate of CA.

Writes a line into LOG for each request: TLS version, the client's certificate as hexadecimal DER, "new" or "resumed".
The page /who contains the common name of the client's certificate.
"""

import http.server
import ssl
import sys
import threading

port, certificate, key, ca, log = sys.argv[1:]
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    def setup(self):
        # In the connection's own thread, so that a slow client does not delay the others.
        self.request.settimeout(30)
        self.request.do_handshake()
        super().setup()

    def do_GET(self):
        tls = self.connection
        line = f"{tls.version()} {tls.getpeercert(binary_form=True).hex()} {'resumed' if tls.session_reused else 'new'}\n"
        with lock, open(log, "a", encoding="ascii") as file:
            file.write(line)
        body = b"hello\n"
        if self.path == "/who":
            names = dict(pair for part in tls.getpeercert()["subject"] for pair in part)
            body = f"hello {names['commonName']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request, client_address):
        print(sys.exc_info()[1], file=sys.stderr, flush=True)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
# CA may contain a client's own certificate instead of its issuer's.
context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(certificate, key)
server = Server(("127.0.0.1", int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
