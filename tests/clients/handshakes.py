"""handshakes.py CA PORT COUNT [--certificate FILE] [--tls 1.2|1.3] [--threads N] [--client CERTIFICATE KEY]

Makes COUNT connections to localhost:PORT, each with a full handshake, and requests "/" over each. Fails unless every connection has a
certificate for localhost of the CA (with --certificate: exactly that one), and a reply that contains the text of --expect.
"""

import argparse
import concurrent.futures
import socket
import ssl
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ca")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--certificate")
    parser.add_argument("--tls", choices=["1.2", "1.3"])
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--plain", action="store_true", help="connect without TLS, to a TLS proxy on this machine")
    parser.add_argument("--expect", default="")
    options = parser.parse_args()
    wanted = None
    if options.certificate:
        with open(options.certificate, encoding="ascii") as file:
            wanted = ssl.PEM_cert_to_DER_cert(file.read())

    def once(_):
        context = ssl.create_default_context(cafile=options.ca)
        if options.tls:
            version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options.tls]
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", options.port), timeout=30) as raw:
            if options.plain:
                return talk(raw)
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                if tls.session_reused:
                    raise RuntimeError("the session was resumed, without a full handshake")
                if wanted and tls.getpeercert(binary_form=True) != wanted:
                    raise RuntimeError("the server has sent another certificate")
                return talk(tls)

    def talk(stream):
        stream.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b""
        while more := stream.recv(65536):
            answer += more
        if b" 200 " not in answer.split(b"\r\n")[0] or options.expect.encode() not in answer:
            raise RuntimeError(f"unexpected reply: {answer[:200]!r}")

    failures = []
    with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
        for future in [pool.submit(once, n) for n in range(options.count)]:
            if error := future.exception():
                failures.append(f"{type(error).__name__}: {error}")
    print(f"{options.count - len(failures)} of {options.count} connections succeeded")
    for line in sorted(set(failures))[:5]:
        print(f"{failures.count(line)} connections: {line}")
    sys.exit(1 if failures else 0)


main()
