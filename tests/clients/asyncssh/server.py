"""server.py MODULE TOKEN PORT: an SSH server with the token's key as its host key. It accepts the keys in ./authorized_keys."""

import asyncio
import sys

import asyncssh


def greet(process):
    process.stdout.write(f"welcome {process.command}\n")
    process.exit(0)


async def main():
    module, token, port = sys.argv[1:]
    keys = asyncssh.load_pkcs11_keys(module, token_label=token, load_certs=False)
    await asyncssh.listen("127.0.0.1", int(port), server_host_keys=keys, authorized_client_keys="authorized_keys", process_factory=greet)
    await asyncio.Event().wait()


asyncio.run(main())
