"""sftp.py MODULE HOST PORT FILE COPY: downloads a file. Logs in with the first of the module's keys that the server accepts."""

import asyncio
import sys

import asyncssh


async def main():
    module, host, port, file, copy = sys.argv[1:]
    async with asyncssh.connect(host, int(port), pkcs11_provider=module, known_hosts="known_hosts", agent_path=None, client_keys=(),
                                config=None) as connection:
        async with connection.start_sftp_client() as sftp:
            await sftp.get(file, copy)


asyncio.run(asyncio.wait_for(main(), 60))
