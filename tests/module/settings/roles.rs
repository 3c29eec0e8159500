//! Roles of machines, of containers and of signed-on users. A program needs no secret of its own, and the log
//! shows none.

use crate::module_test;
use crate::support::world::World;
use cloud_kms_emulator::{Action, Aws, AwsKey, EntraClients, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

/// Sets the environment of a program on such a machine, which has no other credentials.
fn on_machine(variables: &[(&str, &str)]) {
    for gone in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "AWS_EC2_METADATA_DISABLED"] {
        unsafe { std::env::remove_var(gone) };
    }
    for (name, value) in variables {
        unsafe { std::env::set_var(name, value) };
    }
}

fn make_keys(world: &World) {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
}

fn configure(world: &World, options: Value) {
    let slots = json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]);
    world.configure_with(slots, options);
}

/// Removes the region from the configuration.
fn forget_region(world: &World) {
    let path = world.home.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(config.as_object_mut().unwrap().remove("aws_region").is_some());
    std::fs::write(&path, config.to_string()).unwrap();
}

/// Returns whether the slot's key signs, between C_Initialize and C_Finalize of its own. Asserts that the log
/// contains no secret that the emulator has issued.
fn signs(world: &World, slot: CK_SLOT_ID) -> bool {
    let p11 = world.module();
    let session = p11.open(slot);
    let key = p11.find_class(session, CKO_PRIVATE_KEY).first().copied();
    let signed = key.is_some_and(|key| p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data").is_ok());
    p11.finalize().unwrap();
    let secrets = world.emulator.aws().secrets();
    assert!(secrets.iter().all(|secret| !world.log().contains(secret)), "{}", world.log());
    signed
}

module_test! {
    fn an_ec2_instance_has_a_role_and_a_region(world) {
        make_keys(world);
        on_machine(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &world.emulator.http_url())]);
        configure(world, json!({}));
        forget_region(world);
        assert!(signs(world, 0), "{}", world.log());
        assert_eq!((world.count("machine.region"), world.count("machine.credentials")), (1, 1));
    }
}

module_test! {
    fn a_machine_s_own_services_are_asked_without_a_proxy(world) {
        make_keys(world);
        // No proxy listens at this address. A proxy on another machine would query the metadata service of that
        // machine.
        on_machine(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &world.emulator.http_url()), ("http_proxy", "http://127.0.0.1:9")]);
        configure(world, json!({ "aws_endpoint_url": world.emulator.https_url() }));
        assert!(signs(world, 0), "{}", world.log());
        configure(world, json!({ "aws_endpoint_url": world.emulator.https_url(), "proxy": world.emulator.http_url() }));
        assert!(signs(world, 0), "{}", world.log());
        assert!(world.count("connect") > 0, "KMS is reached through the proxy");
    }
}

module_test! {
    fn a_container_has_a_role(world) {
        make_keys(world);
        let url = format!("{}/container/credentials", world.emulator.http_url());
        on_machine(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Aws::CONTAINER_TOKEN)]);
        configure(world, json!({}));
        assert!(signs(world, 0), "ECS: {}", world.log());
        let token = world.home.join("token");
        std::fs::write(&token, "expired").unwrap();
        unsafe { std::env::remove_var("AWS_CONTAINER_AUTHORIZATION_TOKEN") };
        unsafe { std::env::set_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token) };
        assert!(!signs(world, 0));
        assert!(world.log().contains("no valid credentials") && world.log().contains("StatusCode(403)"), "{}", world.log());
        // EKS rewrites this file regularly.
        std::fs::write(&token, Aws::CONTAINER_TOKEN).unwrap();
        assert!(signs(world, 0), "EKS: {}", world.log());
    }
}

/// Writes what `aws configure sso` and `aws sso login` write: a profile, and the portal's token, which is valid
/// until `until`.
fn sign_on(world: &World, token: &str, until: &str) {
    let (aws, session) = (world.home.join(".aws"), "work");
    let profile = format!(
        "[default]\nsso_session = {session}\nsso_account_id = {}\nsso_role_name = Signer\n\
         [sso-session {session}]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n",
        Aws::ACCOUNT
    );
    let kept = json!({ "startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": token, "expiresAt": until });
    // The name of the file is the SHA-1 of the session's name.
    let name = format!("{}.json", sha1_hex(session));
    std::fs::create_dir_all(aws.join("sso/cache")).unwrap();
    std::fs::write(aws.join("config"), profile).unwrap();
    std::fs::write(aws.join("sso/cache").join(name), kept.to_string()).unwrap();
}

fn sha1_hex(text: &str) -> String {
    let digest = cloud_kms_pkcs11::key::hash::Hash::Sha1.digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

module_test! {
    fn a_user_signed_on_with_sso_has_a_role(world) {
        make_keys(world);
        on_machine(&[("HTTPS_PROXY", &world.emulator.http_url())]);
        configure(world, json!({}));
        sign_on(world, Aws::SSO_TOKEN, "2099-01-01T00:00:00Z");
        assert!(signs(world, 0), "{}", world.log());
        assert_eq!(world.count("sso.GetRoleCredentials"), 1);
        let refused = |words: &str| {
            let before = world.log().len();
            assert!(!signs(world, 0), "{words}");
            let log = world.log()[before..].to_owned();
            assert!(log.contains(words) && log.contains("run aws sso login"), "{log}");
            assert!(!log.contains("wrong-token") && !log.contains(Aws::SSO_TOKEN), "{log}");
        };
        sign_on(world, "wrong-token", "2099-01-01T00:00:00Z");
        refused("Session token not found or invalid");
        sign_on(world, Aws::SSO_TOKEN, "2020-01-01T00:00:00Z");
        refused("the SSO token has expired");
        std::fs::remove_dir_all(world.home.join(".aws/sso/cache")).unwrap();
        refused("failed to load the cached SSO token");
    }
}

module_test! {
    fn app_service_gives_its_identity_to_its_programs(world) {
        make_keys(world);
        let url = format!("{}/msi/token", world.emulator.http_url());
        on_machine(&[("IDENTITY_ENDPOINT", &url), ("IDENTITY_HEADER", EntraClients::IDENTITY_HEADER)]);
        configure(world, json!({ "azure_credential": "managed_identity" }));
        assert!(signs(world, 1), "{}", world.log());
        assert!(!world.log().contains(EntraClients::IDENTITY_HEADER), "{}", world.log());
    }
}

module_test! {
    fn a_silent_metadata_service_does_not_block_calls(world) {
        make_keys(world);
        on_machine(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &world.emulator.http_url())]);
        configure(world, json!({}));
        world.emulator.control().fault(Fault::new("machine.", Action::Hang));
        assert!(!signs(world, 0));
        assert!(world.log().contains("metadata hop limit to 2"), "{}", world.log());
        world.emulator.control().clear_faults();
        assert!(signs(world, 0), "{}", world.log());
    }
}
