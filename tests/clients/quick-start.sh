#!/usr/bin/env bash
# apt: awscli jq opensc
# apt bookworm: libengine-pkcs11-openssl
# apt trixie sid: pkcs11-provider
# docs/quick-start-aws.md, -azure.md, -google.md and -vault.md: every command, in order, from an empty account to the deletion of the key,
# or from a new server to a role of the module's own.
# AWS: Debian's AWS CLI, with an account of ministack that is new. ministack checks the requests' signatures and the IAM policies.
# Azure: az is a stand-in (quick-start/az.py), with the project's emulator: azure-cli takes over 700 MB, and nothing emulates Azure's
# management interface. The parser of azure-cli 2.91.0 accepts each command of the page (tried by hand).
# Google: gcloud is a stand-in (quick-start/gcloud.py), with the project's emulator: Debian has no package of gcloud, and nothing emulates
# IAM. gcloud 528 accepts each command of the page, and ran those of `gcloud kms` with the emulator (tried by hand).
# Vault: vault is a stand-in (quick-start/vault.py), with a real Vault of its own (tests/servers/vault-server).
# Replaced in the pages' blocks: the module's path; the addresses and the CA of Vault; in Debian 12, which has no provider, the provider by
# the engine of the page openssl.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/emulator.bash"

need aws awscli
need jq jq
need pkcs11-tool opensc

# No setting of the other scripts' clouds applies. Each page gets a new home folder.
unset CLOUD_KMS_PKCS11_CONFIG AWS_SHARED_CREDENTIALS_FILE AWS_CONFIG_FILE XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME
unset HTTPS_PROXY HTTP_PROXY ALL_PROXY NO_PROXY https_proxy http_proxy all_proxy no_proxy
module=$MODULE

enter() { # CLOUD
    cloud=$1 folder=$work/$1 label=my-$1-key
    mkdir -p "$folder/blocks" "$folder/page" "$folder/home" "$folder/bin"
    export HOME=$folder/home PATH=$folder/bin:$PATH
    unset MODULE
}

quick_start() { # OPERATION COMMAND...
    check "$cloud-quick-start $1" "${@:2}"
}

blocks() { python3 "$clients/quick-start/blocks.py" "$root/docs/quick-start-$cloud.md" "$folder/blocks" "$@"; }

# Runs the commands with the variables of earlier blocks.
run_commands() { # TEXT
    printf '%s\n' "set -a" "[ ! -e ../variables ] || . ../variables" "set -x" "$1" "{ set +x; } 2>/dev/null" "export -p >../variables" \
        >"$folder/commands"
    (cd "$folder/page" && bash -euo pipefail "$folder/commands" </dev/null)
}

# The path of the page is README's, which tests/install.sh compares with that of the installed module.
replace_module() {
    local line
    line=$(grep '^export MODULE=' <<<"$1")
    grep -qxF "$line" "$root/README.md" || { echo "README.md has no line $line" >&2 && return 1; }
    echo "${1/"$line"/"export MODULE=$module"}"
}

# The page's last line verifies by the service's public key, which the page openssl must not replace.
replace_provider() {
    local openssl=$root/docs/clients/openssl.md
    printf '%s\n' "mkdir -p engine && cp file engine && cd engine && TOKEN=$label" "$(page '^export PKCS11_MODULE_PATH' "$openssl")" \
        "$(page 'openssl dgst .* -out file.sig' "$openssl" | sed -n 1p)" "cd .. && cp engine/file.sig file.sig" "$(grep -v pkcs11 <<<"$1" | grep -v PKCS11)"
}

run_block() { # FILE
    local text
    text=$(cat "$1")
    [ "$cloud" != vault ] || text=$(replace_server "$text")
    [[ $text != *"export MODULE="* ]] || text=$(replace_module "$text")
    [[ $text != *"-provider pkcs11"* ]] || [ "$(ways)" != engine ] || text=$(replace_provider "$text")
    run_commands "$text"
}

# The page says that it has to be repeated in the first minutes.
run_forbidden_block() {
    refuse run_block "$1" 2>&1 | tee "$folder/forbidden"
    grep Forbidden "$folder/forbidden"
    run_block "$1"
}

run_section() { # NUMBER
    local file
    for file in "$folder/blocks/$1"-*.sh; do
        if grep -q '^az keyvault key create' "$file"; then run_forbidden_block "$file"; else run_block "$file"; fi
    done >"$folder/$1.printed"
    cat "$folder/$1.printed"
}

section() { quick_start "$(cat "$folder/blocks/$1.title")" run_section "$1"; }

has_the_packages() { # PACKAGE...: those that the page installs
    local name
    for name in "$@"; do
        [ "$name/$(ways)" != pkcs11-provider/engine ] || name=libengine-pkcs11-openssl
        dpkg-query -W -f '${Status}\n' "$name" | grep 'install ok installed'
    done
}

# What src/cloud/CLOUD/operations.rs says that reading and signing need.
needs() { # COLUMN
    local read
    case $cloud in azure) read=GET_KEY ;; vault) read=READ_KEY ;; *) read=GET_PUBLIC_KEY ;; esac
    sed -nE "s/^ +($read|SIGN) +//p" "$root/src/cloud/$cloud/operations.rs" | cut -d '"' -f "$1" | sort | tee "$folder/needs" >&2
    [ "$(wc -l <"$folder/needs")" = 2 ]
    cat "$folder/needs"
}

grants() { # FILE PROPERTY...: exactly what is on standard input
    python3 -c '
import json, sys
value = json.load(open(sys.argv[1]))
for name in sys.argv[2:]:
    value = value[int(name) if name.isdigit() else name]
print("\n".join(sorted(value)))' "$@" >"$folder/granted"
    diff "$folder/granted" -
}

lists_the_key() {
    # OpenSC 0.27 prints the size of the private key as well.
    grep -xE 'Private Key Object; RSA( +3072 bits)? *' "$folder/4.printed"
    grep -xE 'Public Key Object; RSA +3072 bits' "$folder/4.printed"
    [ "$(grep -cE "^ +label: +$label\$" "$folder/4.printed")" = 2 ]
}

lists_the_ec_key() {
    grep -xE 'Private Key Object; EC( .*)?' "$folder/4.printed"
    grep -xE 'Public Key Object; EC +EC_POINT 256 bits *' "$folder/4.printed"
    [ "$(grep -cE "^ +label: +$label\$" "$folder/4.printed")" = 2 ]
}

# The page has verified both signatures. They are verified again, and must fail with other data and when spoilt.
signatures_are_good() { # PUBLIC-KEY
    [ "$(grep -cx 'Verified OK' "$folder/5.printed")" = 2 ]
    public=$1
    verify_and_spoil verify sha256 "$folder/page/file" "$folder/page/file.sig"
    verify_and_spoil verify sha256 "$folder/page/file" "$folder/page/file.p11.sig"
}

# The page's own command fails. The module's message has the words.
cannot_sign() { # WORDS
    local file
    file=$(grep -l 'pkcs11-tool .*--sign' "$folder/blocks"/5-*.sh)
    rm -f "$folder/page/file.p11.sig"
    refuse run_block "$file" 2>&1 | tee "$folder/refused"
    grep "^cloud-kms-pkcs11.* error: .*$label.*$1" "$folder/refused"
    [ ! -s "$folder/page/file.p11.sig" ]
}

# AWS.

enter aws
start_servers ministack
# ministack takes an access key id of twelve digits for the id of an account.
account=$(python3 -c 'import secrets; print(secrets.randbelow(9 * 10**11) + 10**11)')
AWS_ENDPOINT_URL=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["servers"]["ministack"]["endpoint"])' "$SERVERS_JSON")
export AWS_ENDPOINT_URL
mkdir "$HOME/.aws"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = any\n' "$account" >"$HOME/.aws/credentials"
# With another endpoint the CLI needs a region for IAM and STS, too. The page uses a different one.
printf '[default]\nregion = us-west-2\n' >"$HOME/.aws/config"
# AWS CLI 2.9 of Debian 12 ignores AWS_ENDPOINT_URL.
if [ "$release" = bookworm ]; then
    printf '#!/bin/sh\nexec /usr/bin/aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n' >"$folder/bin/aws"
    chmod +x "$folder/bin/aws"
fi

account_is_empty() {
    run_commands 'aws sts get-caller-identity' | grep "\"Account\": \"$account\""
    [ -z "$(run_commands 'aws kms list-keys --region eu-central-1 --query "Keys[].KeyId" --output text')" ]
    [ -z "$(run_commands 'aws iam list-users --query "Users[].UserName" --output text')" ]
}

aws_permissions() { needs 4 | grants "$folder/page/policy.json" Statement 0 Action; }

policy_of_a_role() {
    run_commands 'aws iam create-role --role-name machine --assume-role-policy-document "{}"
        aws iam put-role-policy --role-name machine --policy-name sign --policy-document file://policy.json
        aws iam get-role-policy --role-name machine --policy-name sign --query PolicyDocument >role-policy.json'
    run python3 -c 'import json, sys; one, two = (json.load(open(path)) for path in sys.argv[1:]); sys.exit(one != two)' \
        "$folder/page/policy.json" "$folder/page/role-policy.json"
}

aws_public_key() {
    run plain_openssl pkey -pubin -inform DER -in "$folder/page/public.der" -pubout -out "$folder/public.pem"
    signatures_are_good "$folder/public.pem"
}

state_of_the_key() { # STATE
    run_commands 'aws kms describe-key --region "$REGION" --key-id "$KEY_ARN" --query KeyMetadata.KeyState --output text' | grep -x "$1"
}

deletion_is_cancelled() {
    state_of_the_key PendingDeletion
    run_commands 'aws kms cancel-key-deletion --region "$REGION" --key-id "$KEY_ARN"'
    state_of_the_key Disabled
    run_commands 'aws kms enable-key --region "$REGION" --key-id "$KEY_ARN"'
    state_of_the_key Enabled
}

packages=(awscli opensc openssl pkcs11-provider)
quick_start "every command of the page is run" blocks "sudo apt-get install ${packages[*]}" "aws sts get-caller-identity" \
    "aws iam put-role-policy" "aws kms cancel-key-deletion" "aws kms enable-key"
quick_start "the packages" has_the_packages "${packages[@]}"
quick_start "the account is empty" account_is_empty
section 0
section 1
section 2
quick_start "the permissions are those of signing" aws_permissions
quick_start "the policy of a role" policy_of_a_role
section 3
section 4
quick_start "the token" lists_the_key
section 5
quick_start "the signatures" aws_public_key
section 6
quick_start "no signature after the deletion" cannot_sign UnrecognizedClientException
quick_start "the deletion is cancelled" deletion_is_cancelled

# Azure.

unset AWS_ENDPOINT_URL
enter azure
own_emulator "$folder/emulator"
# The emulator is also a proxy, which answers for all hosts of Azure.
export AZ_STATE=$folder/state.json AZ_READY=$folder/emulator/ready.json SSL_CERT_FILE=$folder/emulator/ca.pem
HTTPS_PROXY=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["http_url"])' "$AZ_READY")
export HTTPS_PROXY
printf '#!/bin/sh\nexec python3 "%s" "$@"\n' "$clients/quick-start/az.py" >"$folder/bin/az"
chmod +x "$folder/bin/az"

refuses() { # WORDS COMMAND...
    refuse run_commands "${*:2}" 2>&1 | tee "$folder/refused"
    grep -F -e "$1" "$folder/refused"
}

# The stand-in itself.
unknown_is_refused() {
    refuses "az login" az account show
    run_commands 'az login'
    refuses "is not a command" az keyvault key sign
    refuses "unrecognized arguments" az group create --name a --location b --tag c
    refuses "are required" az group create --name a
    refuses "not found" az keyvault show --name none
    echo '{"Name": "a", "Description": "", "Actions": [], "DataActions": ["Microsoft.KeyVault/vaults/keys/signs/action"],
        "AssignableScopes": ["/subscriptions/22222222-2222-4222-8222-222222222222"]}' >"$folder/page/wrong.json"
    refuses InvalidAction az role definition create --role-definition @wrong.json
}

azure_permissions() {
    needs 4 | sed 's|^keys/get$|keys/read|; s|^keys/sign$|keys/sign/action|; s|^|Microsoft.KeyVault/vaults/|' |
        grants "$folder/page/role.json" DataActions
}

access_policies() {
    run_commands 'az keyvault create --name "$VAULT-2" --resource-group "$GROUP" --location "$LOCATION" --enable-rbac-authorization false'
    run_commands '(VAULT=$VAULT-2 && az keyvault set-policy --name "$VAULT" --spn "$APP_ID" --key-permissions get sign >policy.json)'
    needs 4 | sed 's|^keys/||' | grants "$folder/page/policy.json" keyPermissions
}

# What the page says of the first minutes.
assignment_is_not_in_effect() {
    run_commands 'az role assignment delete --role "PKCS11 signer" --scope "$VAULT_ID" --assignee "$APP_ID"'
    cannot_sign "permission denied"
    run_commands 'az role assignment create --role "PKCS11 signer" --scope "$VAULT_ID" --assignee "$APP_ID"'
}

secret_is_private() {
    [ "$(stat -c %a "$HOME/.config/cloud-kms-pkcs11/azureauth.json")" = 600 ]
}

# The stand-in wrote public.pem. The emulator's control interface has the same key.
azure_public_key() {
    own_public "$folder/emulator" "vaults/$(. "$folder/variables" && echo "$VAULT")/keys/my-key" >"$folder/public.pem"
    public=$folder/public.pem
    same_key "$folder/page/public.pem"
    signatures_are_good "$folder/page/public.pem"
}

vault_is_purged() {
    refuses "not found" 'az keyvault show --name "$VAULT"'
    refuses "already in use" 'az group create --name "$GROUP" --location "$LOCATION" >/dev/null
        az keyvault create --name "$VAULT" --resource-group "$GROUP" --location "$LOCATION" --enable-rbac-authorization true'
    run_commands 'az keyvault purge --name "$VAULT"'
}

nothing_is_left() {
    [ -z "$(find "$HOME/.config/cloud-kms-pkcs11" -type f)" ]
    cp -a "$folder/kept/." "$HOME/.config/cloud-kms-pkcs11"
    cannot_sign AADSTS7000215
}

packages=(opensc openssl pkcs11-provider)
quick_start "every command of the page is run" blocks "sudo apt-get install ${packages[*]}" "az login" "az keyvault purge" \
    "az provider register --namespace Microsoft.KeyVault" \
    'az keyvault set-policy --name "$VAULT" --spn "$APP_ID" --key-permissions get sign'
quick_start "the packages" has_the_packages "${packages[@]}"
quick_start "the stand-in for az refuses what it does not know" unknown_is_refused
quick_start "the provider" run_commands 'az provider register --namespace Microsoft.KeyVault'
section 0
section 1
section 2
quick_start "the permissions are those of signing" azure_permissions
quick_start "the secret is private" secret_is_private
quick_start "a vault with access policies" access_policies
section 3
section 4
quick_start "the token" lists_the_key
quick_start "a role assignment that is not in effect" assignment_is_not_in_effect
section 5
quick_start "the signatures" azure_public_key
cp -a "$HOME/.config/cloud-kms-pkcs11" "$folder/kept" || true
section 6
quick_start "no signature after the deletion" nothing_is_left
quick_start "the vault is purged" vault_is_purged

# Google.

unset AZ_STATE AZ_READY
for name in $(compgen -e | grep -E '^(GOOGLE|CLOUDSDK|GCE)_'); do unset "$name"; done
enter google
own_emulator "$folder/emulator"
# The emulator is also a proxy, which answers for all hosts of Google.
export GCLOUD_STATE=$folder/state.json GCLOUD_READY=$folder/emulator/ready.json SSL_CERT_FILE=$folder/emulator/ca.pem
HTTPS_PROXY=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["http_url"])' "$GCLOUD_READY")
export HTTPS_PROXY
printf '#!/bin/sh\nexec python3 "%s" "$@"\n' "$clients/quick-start/gcloud.py" >"$folder/bin/gcloud"
chmod +x "$folder/bin/gcloud"

unknown_gcloud_is_refused() {
    local CLOUDSDK_CORE_PROJECT=my-project
    export CLOUDSDK_CORE_PROJECT
    refuses "gcloud auth login" gcloud services enable cloudkms.googleapis.com
    run_commands 'gcloud auth login'
    refuses "not a command" gcloud kms keys list
    refuses "unrecognized arguments" gcloud services enable cloudkms.googleapis.com --async
    refuses "are required" gcloud kms keys create projects/a/locations/b/keyRings/c/cryptoKeys/d
    refuses "not a full name" gcloud kms keyrings create a
    refuses "is disabled" gcloud kms keyrings create projects/my-project/locations/b/keyRings/c
    refuses "Unknown service account" gcloud iam service-accounts keys create a --iam-account b
    refuses "argument --purpose: Invalid choice" gcloud kms keys create projects/my-project/locations/b/keyRings/c/cryptoKeys/d --purpose encryption \
        --default-algorithm ec-sign-p256-sha256
}

# What the page says of the first minutes. Without one of the roles, the module's message names it.
each_role_is_needed() {
    local role permission
    needs 6 >"$folder/roles"
    while read -r role; do
        permission=$(grep -F "\"$role\"" "$root/src/cloud/google/operations.rs" | grep -E '^ +(GET_PUBLIC_KEY|SIGN) ' | cut -d '"' -f 4)
        run_commands "gcloud kms keys remove-iam-policy-binding \"\$RING/cryptoKeys/my-key\" --member \"serviceAccount:\$ACCOUNT\" --role $role"
        cannot_sign "permission denied.*$permission.*$role"
        run_commands "gcloud kms keys add-iam-policy-binding \"\$RING/cryptoKeys/my-key\" --member \"serviceAccount:\$ACCOUNT\" --role $role"
    done <"$folder/roles"
}

google_roles() {
    grep -o 'roles/cloudkms\.[A-Za-z]*' "$folder/blocks"/2-*.sh | cut -d : -f 2 | sort >"$folder/granted"
    needs 6 | diff "$folder/granted" -
}

service_account_file_is_private() {
    [ "$(stat -c %a "$HOME/.config/cloud-kms-pkcs11/service-account.json")" = 600 ]
}

# The stand-in wrote public.pem. The emulator's control interface has the same key.
google_public_key() {
    own_public "$folder/emulator" "google/keys/$(. "$folder/variables" && echo "$RING")/cryptoKeys/my-key" >"$folder/public.pem"
    public=$folder/public.pem
    same_key "$folder/page/public.pem"
    signatures_are_good "$folder/page/public.pem"
}

nothing_is_left_of_google() {
    [ -z "$(find "$HOME/.config/cloud-kms-pkcs11" -type f)" ]
    cp -a "$folder/kept/." "$HOME/.config/cloud-kms-pkcs11"
    cannot_sign "permission denied"
}

destruction_is_cancelled() {
    local version='"$RING/cryptoKeys/my-key/cryptoKeyVersions/1"'
    refuses DESTROY_SCHEDULED "gcloud kms keys versions get-public-key $version --output-file again.pem"
    run_commands "gcloud kms keys versions restore $version"
    refuses DISABLED "gcloud kms keys versions get-public-key $version --output-file again.pem"
    run_commands "gcloud kms keys versions enable $version"
    run_commands "gcloud kms keys versions get-public-key $version --output-file again.pem && diff again.pem public.pem"
}

packages=(opensc openssl pkcs11-provider)
quick_start "every command of the page is run" blocks "sudo apt-get install ${packages[*]}" "gcloud auth login" \
    "gcloud services enable cloudkms.googleapis.com" "gcloud kms keys versions restore" "gcloud kms keys versions enable"
quick_start "the packages" has_the_packages "${packages[@]}"
quick_start "the stand-in for gcloud refuses what it does not know" unknown_gcloud_is_refused
section 0
quick_start "the API" run_commands 'gcloud services enable cloudkms.googleapis.com'
section 1
section 2
quick_start "the roles are those of signing" google_roles
quick_start "the service account's key is private" service_account_file_is_private
section 3
section 4
quick_start "the token" lists_the_ec_key
section 5
quick_start "the signatures" google_public_key
quick_start "each role is needed" each_role_is_needed
cp -a "$HOME/.config/cloud-kms-pkcs11" "$folder/kept" || true
section 6
quick_start "no signature after the deletion" nothing_is_left_of_google
quick_start "the destruction is cancelled" destruction_is_cancelled

# Vault.

unset HTTPS_PROXY SSL_CERT_FILE GCLOUD_STATE GCLOUD_READY
for name in $(compgen -e | grep -E '^(VAULT|BAO)_'); do unset "$name"; done
if [ ! -x "$root/target/servers/bin/vault-server" ]; then
    skip "quick-start of Vault: needs target/servers/bin/vault-server (tests/servers/install.sh)"
fi
enter vault
label=signing
export VAULT_HOME=$folder/server VAULT_SERVER=$root/target/servers/bin/vault-server
mkdir "$VAULT_HOME"
"$root/target/servers/tools/bin/python" -c 'import pathlib, sys; sys.path.insert(0, sys.argv[1]); import vault; vault.files(pathlib.Path(sys.argv[2]))' \
    "$root/tests/servers" "$VAULT_HOME"
printf '#!/bin/sh\nexec python3 "%s" "$@"\n' "$clients/quick-start/vault.py" >"$folder/bin/vault"
chmod +x "$folder/bin/vault"

replace_server() {
    local plain tls text=$1
    plain=$(cat "$VAULT_HOME/address") tls=$(cat "$VAULT_HOME/tls_address")
    text=${text//"http://127.0.0.1:8200"/"$plain"}
    text=${text//"https://vault.example.com:8200"/"$tls"}
    echo "${text//"/etc/ssl/certs/vault-ca.pem"/"$VAULT_HOME/ca.pem"}"
}

unknown_vault_is_refused() {
    refuses "is not a command" vault kv get a
    refuses "flag provided but not defined: -policies" vault write -policies=a auth/approle/role/a
    refuses "before positional arguments" vault write transit/keys/a -f
    refuses "only -dev" vault server -dev
    export VAULT_ADDR VAULT_TOKEN=wrong
    VAULT_ADDR=$(cat "$VAULT_HOME/address")
    refuses "permission denied" vault secrets enable transit
    VAULT_TOKEN=root
    refuses "Must supply data or use -force" vault write transit/keys/a
    refuses "no handler for route" vault read transit/a
}

vault_permissions() {
    sed -nE 's/^path "[^"]+" \{ capabilities = \["([a-z]+)"\] \}$/\1/p' "$folder/page/signer.hcl" | sort >"$folder/granted"
    [ "$(wc -l <"$folder/page/signer.hcl")" = 2 ]
    needs 4 | diff "$folder/granted" -
}

# Without a path of the policy, the module's message names the path.
each_path_is_needed() {
    local path
    for path in transit/keys/signing transit/sign/signing; do
        grep -v "\"$path[/\"]" "$folder/page/signer.hcl" >"$folder/page/less.hcl"
        run_commands 'vault policy write signer less.hcl'
        cannot_sign "permission denied.* on \"$path"
    done
    run_commands 'vault policy write signer signer.hcl'
}

secret_id_is_private_and_needed() {
    local file=$HOME/.config/cloud-kms-pkcs11/secret-id good
    [ "$(stat -c %a "$file")" = 600 ]
    good=$(cat "$file")
    echo 00000000-0000-4000-8000-000000000000 >"$file"
    cannot_sign "no token by the auth method"
    echo "$good" >"$file"
}

signs_with_the_new_version() {
    run_commands 'vault write -f transit/keys/signing/rotate'
    sed -i 's/\["1"\]/["2"]/' "$folder/blocks/5-0.sh"
    cp "$folder/page/public.pem" "$folder/old.pem"
    run_section 5
    public=$folder/old.pem
    refuse same_key "$folder/page/public.pem"
    signatures_are_good "$folder/page/public.pem"
}

# The policies of the page permissions. The longer one, with Vault's own policy "default", allows each row of its table.
documented_policies() {
    python3 - "$root/docs/permissions.md" "$folder/page" <<'PY'
import pathlib, re, sys
page, folder = map(pathlib.Path, sys.argv[1:])
section = page.read_text().split("\n## HashiCorp Vault")[1]
small, large = re.findall(r"^```hcl\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
(folder / "small.hcl").write_text(small)
(folder / "large.hcl").write_text(large)
rows = re.findall(r"\| \w+ \| `([^`]+)` \| `(\w+)` \|$", section, re.MULTILINE)
assert len(rows) > 10, rows
(folder / "rows").write_text("".join(f"{path.replace('*', 'sha2-256')} {capability}\n" for path, capability in rows))
PY
    diff "$folder/page/small.hcl" "$folder/page/signer.hcl"
    # The policy names the key "signing", and permits to create and delete others.
    run_commands 'vault policy write large large.hcl
        TOKEN=$(vault write -format=json auth/token/create policies=large | jq -r .auth.client_token)
        while read -r path capability; do
            vault write -format=json sys/capabilities token="$TOKEN" paths="${path/NAME/signing},${path/NAME/other}" |
                jq --exit-status --arg wanted "$capability" "[.data[][]] | index(\$wanted) != null"
        done <rows'
}

packages=(jq opensc openssl pkcs11-provider)
quick_start "every command of the page is run" blocks "sudo apt-get install ${packages[*]}" \
    "vault write -f transit/keys/signing/rotate"
quick_start "the packages" has_the_packages "${packages[@]}"
# The page's command becomes the server itself.
bash -c "exec $(cat "$folder/blocks/1-0.sh")" >"$folder/server.log" 2>&1 </dev/null &
later "kill $!; wait $!"
quick_start "$(cat "$folder/blocks/1.title")" wait_for 60 test -e "$VAULT_HOME/address"
quick_start "the stand-in for vault refuses what it does not know" unknown_vault_is_refused
section 0
section 2
section 3
section 4
quick_start "the token" lists_the_ec_key
section 5
quick_start "the signatures" signatures_are_good "$folder/page/public.pem"
section 6
quick_start "the capabilities are those of signing" vault_permissions
quick_start "each path of the policy is needed" each_path_is_needed
quick_start "the policies of the page permissions" documented_policies
quick_start "the SecretID is private, and the module needs it" secret_id_is_private_and_needed
quick_start "5. Sign and verify, as in step 6" run_section 5
quick_start "the signatures by the role" signatures_are_good "$folder/page/public.pem"
quick_start "the new version signs" signs_with_the_new_version
