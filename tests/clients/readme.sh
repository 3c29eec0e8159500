#!/usr/bin/env bash
# apt: openssh-client
# apt bookworm: openjdk-17-jdk-headless libengine-pkcs11-openssl
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless pkcs11-provider
# The commands of README.md, with the four slots of its configuration. Only the values of those slots are replaced: they
# name keys of the test servers. The slot of Vault is left out if the Vault of tests/servers is not installed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/java.bash"

need ssh-agent openssh-client

readme=$root/README.md
recipes=$work/recipes
mkdir "$recipes"
cp "$work/data" "$recipes/file"
export CLOUD_KMS_PKCS11_CONFIG=$recipes/config.json
labels=(aws-rsa2048 azure-p256 google-p256)
for name in $(compgen -e | grep -E '^(VAULT|BAO)_'); do unset "$name"; done
[ ! -x "$root/target/servers/bin/vault-server" ] || start_servers vault
# The token is where README says.
if read -r VAULT_TOKEN vault_public < <(python3 - "$SERVERS_JSON" <<'PY'
import json, sys
vault = json.load(open(sys.argv[1]))["servers"].get("vault") or sys.exit()
print(vault["token"], *(key["public"] for key in vault["keys"] if key["name"] == "p384"))
PY
); then
    export VAULT_TOKEN
    labels+=(my-vault-key)
else
    echo "skipped readme of Vault: its server is not installed (tests/servers/install.sh)"
fi

configure() { # [CERTIFICATE]: writes README's configuration; the key of AWS has the certificate
    python3 - "$readme" "$config" "$SERVERS_JSON" "$CLOUD_KMS_PKCS11_CONFIG" "$@" <<'PY'
import json, re, sys
readme, test_config, servers, target, *certificate = sys.argv[1:]
[example] = re.findall(r"^```json\n(.*?)^```$", open(readme).read(), re.MULTILINE | re.DOTALL)
config = json.load(open(test_config))
slots = {slot["label"]: slot for slot in config["slots"]}
here = {"my-aws-key": slots["aws-rsa2048"], "my-azure-key": slots["azure-p256"], "my-google-key": slots["google-p256"]}
vault = json.load(open(servers))["servers"].get("vault")
here["my-vault-key"] = vault and {"vault_address": vault["address"], "transit_key": "p384"}
slots = json.loads(example)["slots"]
assert [slot["label"] for slot in slots] == list(here), slots
slots = [slot for slot in slots if here[slot["label"]]]
for slot in slots:
    values = config | here[slot["label"]]
    slot |= {option: values[option] for option in slot if option != "label" and option in values}
slots[0] |= {"certificate_path": path for path in certificate}
# README's server has a certificate of an authority that the system trusts.
slots[-1] |= {"ca_bundle": vault["ca_bundle"]} if vault else {}
json.dump(config | {"slots": slots}, open(target, "w"))
PY
}

run_recipe() { # PATTERN: runs README's block that contains it
    local block
    block=$(page "$1" "$readme")
    (cd "$recipes" && bash -euxc "$block")
}

# Where another test runs a block, its pattern stands here as well.
every_block_is_run() {
    python3 - "$readme" <<'PY'
import re, sys
run_by = {
    r"^scripts/demo\.sh\nscripts/test\.sh$": "scripts/test.sh itself, and its stage demo",
    r"^sudo apt install \./cloud-kms-pkcs11_": "tests/packages/installed.sh",
    r"^cmake --install|^sudo cmake --install": "tests/install.sh",
    r"^export MODULE=\S+$": "tests/install.sh",
    r"^openssl dgst": "openssl_recipe",
    r"^ssh-add": "ssh_recipe",
    r"^jarsigner": "java_recipe",
}
blocks = re.findall(r"^```sh\n(.*?)^```$", open(sys.argv[1]).read(), re.MULTILINE | re.DOTALL)
assert len(blocks) == len(run_by), f"{len(blocks)} blocks"
for block in blocks:
    runs = [test for pattern, test in run_by.items() if re.search(pattern, block, re.MULTILINE)]
    assert len(runs) == 1, f"run by {runs}: {block}"
PY
}

openssl_recipe() {
    run_recipe PKCS11_PROVIDER_MODULE
    key azure-p256
    verify_and_spoil verify sha256 "$recipes/file" "$recipes/file.sig"
    certificate_is_good
}

certificate_is_good() {
    key aws-rsa2048
    plain_openssl x509 -in "$recipes/my-key.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    run plain_openssl verify -check_ss_sig -CAfile "$recipes/my-key.pem" "$recipes/my-key.pem"
    refuse run plain_openssl verify -check_ss_sig -CAfile "$certificate_of_another_key" "$recipes/my-key.pem"
}

# Debian 12 has no provider. README refers to the engine's page, which makes the certificate for Java here.
engine_certificate() {
    export PKCS11_MODULE_PATH=$MODULE
    TOKEN=my-aws-key run_page 'openssl req -x509' openssl
    cp "$work/page/certificate.pem" "$recipes/my-key.pem"
    certificate_is_good
}

ssh_recipe() {
    eval "$(ssh-agent -P "$(dirname "$(realpath "$MODULE")")/*")" >/dev/null
    trap 'ssh-agent -k >/dev/null' RETURN
    run_recipe 'ssh-add -s' </dev/null | tee "$work/printed"
    ssh-add -L >"$work/agent"
    for label in "${labels[@]}"; do
        use_key "$label"
        ssh-keygen -i -m PKCS8 -f "$public" >"$work/wanted"
        grep -F "$(cat "$work/wanted")" "$work/printed"
        grep -F "$(cat "$work/wanted")" "$work/agent"
        rm -f "$work/data.sig"
        run ssh-keygen -Y sign -f "$work/wanted" -n file "$work/data"
        echo "me $(cat "$work/wanted")" >"$work/signers"
        ssh_verify <"$work/data"
        refuse ssh_verify <"$work/other"
    done
    [ "$(wc -l <"$work/agent")" = "${#labels[@]}" ]
}

# The configuration of the tests has no keys of Vault.
use_key() { # LABEL
    case $1 in
        my-vault-key) public=$vault_public ;;
        *) key "$1" ;;
    esac
}

ssh_verify() { run ssh-keygen -Y verify -f "$work/signers" -I me -n file -s "$work/data.sig"; }

java_recipe() { # JDK
    use_jdk "$1"
    (cd "$recipes" && rm -f app.jar && jar --create --file app.jar file)
    run_recipe 'keytool -list' | tee "$work/printed"
    grep '^my-aws-key, PrivateKeyEntry' "$work/printed"
    jar_is_signed "$recipes/app.jar"
    keytool -printcert -rfc -jarfile "$recipes/app.jar" >"$work/signer.pem"
    run cmp <(plain_openssl x509 -in "$work/signer.pem" -outform DER) <(plain_openssl x509 -in "$recipes/my-key.pem" -outform DER)
    python3 - "$recipes/app.jar" "$work/spoilt.jar" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as signed, zipfile.ZipFile(sys.argv[2], "w") as spoilt:
    for name in signed.namelist():
        spoilt.writestr(name, signed.read(name) + (b"." if name == "file" else b""))
PY
    refuse jar_is_signed "$work/spoilt.jar"
}
jar_is_signed() { jarsigner -verify "$1" >"$work/verified" && cat "$work/verified" && grep -x 'jar verified.' "$work/verified"; }

plain_openssl req -x509 -new -newkey rsa:2048 -nodes -keyout "$work/other.key" -days 2 -subj "/CN=me" \
    -out "$work/other.pem" 2>/dev/null
certificate_of_another_key=$work/other.pem

check "every block of README is run by a test" every_block_is_run
check "README's configuration" configure
if [ "$(ways)" = engine ]; then
    check "OpenSSL's engine makes a certificate" engine_certificate
else
    check "OpenSSL" openssl_recipe
fi
check "OpenSSH" ssh_recipe
check "README's configuration, with the certificate" configure "$recipes/my-key.pem"
for jdk in $(jdks); do check "Java $jdk" java_recipe "$jdk"; done
