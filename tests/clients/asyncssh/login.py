"""login.py MODULE TOKEN HOST PORT COMMAND: logs in with the token's key and runs the command. Verifies the host with ./known_hosts."""

import asyncio
import sys

import asyncssh


async def main():
    module, token, host, port, command = sys.argv[1:]
    keys = asyncssh.load_pkcs11_keys(module, token_label=token)
    async with asyncssh.connect(host, int(port), client_keys=keys, known_hosts="known_hosts", agent_path=None, config=None) as connection:
        result = await connection.run(command, check=True)
        print(result.stdout, end="")


asyncio.run(asyncio.wait_for(main(), 60))
