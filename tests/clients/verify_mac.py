"""verify_mac.py SERVERS_JSON SERVER KEY BITS FILE MAC: fails unless the service says that MAC is FILE's MAC. AWS and Google are
asked by their own SDKs, and Vault by hvac.
"""

import base64
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
import google_kms
import provision
import vault


def main():
    servers_json, server, key, bits, file, mac = sys.argv[1:]
    facts = json.loads(pathlib.Path(servers_json).read_text())["servers"][server]
    if facts["cloud"] == "google":
        sys.exit(not google_kms.verifies_mac(facts, key, pathlib.Path(file).read_bytes(), pathlib.Path(mac).read_bytes()))
    if facts["cloud"] == "vault":
        fields = {"input": base64.b64encode(pathlib.Path(file).read_bytes()).decode(),
                  "hmac": "vault:v1:" + base64.b64encode(pathlib.Path(mac).read_bytes()).decode()}
        reply = vault.client(facts, facts["token"]).write(f"transit/verify/{key}/sha2-{bits}", **fields)
        sys.exit(not reply["data"]["valid"])
    kms = provision.aws_client("kms", facts, facts["access_key_id"], facts["secret_access_key"])
    try:
        reply = kms.verify_mac(KeyId=key, MacAlgorithm=f"HMAC_SHA_{bits}", Message=pathlib.Path(file).read_bytes(),
                               Mac=pathlib.Path(mac).read_bytes())
    except kms.exceptions.KMSInvalidMacException as error:
        sys.exit(f"{server}: {error}")
    sys.exit(not reply["MacValid"])


if __name__ == "__main__":
    main()
