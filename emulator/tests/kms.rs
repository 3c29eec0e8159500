//! AWS KMS and STS as a client sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{AwsKey, Emulator};
use common::{base64, bench, digest, openssl_options, sign_body, unbase64};
use serde_json::{Value, json};

#[test]
fn every_algorithm_of_every_key_signs_what_openssl_verifies() {
    let bench = bench();
    let specs = [
        "RSA_2048",
        "RSA_3072",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
    ];
    for spec in specs {
        let key = bench.emulator.aws().create_key(AwsKey::new(spec)).unwrap();
        let public = bench.kms("GetPublicKey", &json!({ "KeyId": key.id })).json();
        assert_eq!((&public["KeyId"], &public["KeySpec"]), (&json!(key.arn), &json!(spec)));
        let spki = unbase64(&public["PublicKey"]);
        assert_eq!(spki, bench.emulator.aws().public_key_spki(&key.arn).unwrap());
        for algorithm in public["SigningAlgorithms"].as_array().unwrap() {
            let algorithm = algorithm.as_str().unwrap();
            let message = format!("a message for {algorithm}").into_bytes();
            for kind in ["RAW", "DIGEST"] {
                // The installed openssl may know no Ed25519ph.
                if algorithm == "ED25519_PH_SHA_512" || kind == "DIGEST" && algorithm.starts_with("ED25519") {
                    continue;
                }
                let input = if kind == "RAW" { message.clone() } else { digest(algorithm, &message) };
                let mut body = sign_body(&key.arn, &input, kind, algorithm);
                let signed = bench.kms("Sign", &body).json();
                let signature = unbase64(&signed["Signature"]);
                assert!(
                    bench.openssl_verifies(&spki, &signature, &message, &openssl_options(algorithm)),
                    "{algorithm}"
                );
                assert!(!bench.openssl_verifies(&spki, &signature, b"another", &openssl_options(algorithm)));
                body["Signature"] = signed["Signature"].clone();
                assert_eq!(bench.kms("Verify", &body).json()["SignatureValid"], true);
                body["Message"] = json!(base64(&digest(algorithm, b"another")));
                let refused = bench.kms_error("Verify", &body).0;
                assert_eq!(refused, "KMSInvalidSignatureException");
            }
        }
    }
}

#[test]
fn a_key_has_many_names_and_answers_with_its_arn() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/x").multi_region()).unwrap();
    assert!(key.id.starts_with("mrk-"));
    let alias = key.arn.replace(&format!("key/{}", key.id), "alias/x");
    for name in [key.id.as_str(), &key.arn, "alias/x", &alias] {
        assert_eq!(bench.kms("GetPublicKey", &json!({ "KeyId": name })).json()["KeyId"], json!(key.arn));
    }
    let elsewhere = bench.emulator.aws().replicate_key(&key.id, "us-west-2").unwrap();
    let there = bench.kms_in("us-west-2", "GetPublicKey", &json!({ "KeyId": key.id }), &[]).json();
    assert_eq!(there["KeyId"], json!(elsewhere.arn));
    let foreign = bench.kms_in("us-west-2", "GetPublicKey", &json!({ "KeyId": key.arn }), &[]).json();
    assert_eq!(foreign["message"], "Invalid arn eu-central-1");
}

#[test]
#[allow(clippy::too_many_lines, reason = "one list of cases")]
fn wrong_requests_are_refused_in_the_words_of_the_service() {
    let bench = bench();
    let aws = bench.emulator.aws();
    aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/ec")).unwrap();
    aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/decrypt")).unwrap();
    aws.create_key(AwsKey::new("SYMMETRIC_DEFAULT").alias("alias/aes")).unwrap();
    let refused = |operation: &str, body: Value| bench.kms_error(operation, &body);
    let sign = |key: &str, length: usize, kind: &str, algorithm: &str| {
        bench.kms_error("Sign", &sign_body(key, &vec![7; length], kind, algorithm))
    };
    let is = |error: &(String, String), code: &str, text: &str| {
        assert!(error.0 == code && error.1.contains(text), "{error:?} is not {code}: {text}");
    };
    is(
        &sign("alias/ec", 31, "DIGEST", "ECDSA_SHA_256"),
        "ValidationException",
        "Digest is invalid length for algorithm ECDSA_SHA_256.",
    );
    is(
        &sign("alias/ec", 4097, "RAW", "ECDSA_SHA_256"),
        "ValidationException",
        "Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096",
    );
    is(&sign("alias/ec", 0, "RAW", "ECDSA_SHA_256"), "ValidationException", "greater than or equal to 1");
    is(&sign("alias/ec", 64, "EXTERNAL_MU", "ECDSA_SHA_256"), "ValidationException", "EXTERNAL_MU");
    is(
        &sign("alias/ec", 48, "DIGEST", "ECDSA_SHA_384"),
        "InvalidKeyUsageException",
        "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.",
    );
    is(
        &sign("alias/ec", 1, "RAW", "RSA"),
        "ValidationException",
        "Value 'RSA' at 'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [",
    );
    is(
        &sign("alias/decrypt", 1, "RAW", "RSASSA_PSS_SHA_256"),
        "InvalidKeyUsageException",
        "key usage is ENCRYPT_DECRYPT which is not valid for Sign.",
    );
    is(
        &sign("alias/none", 1, "RAW", "ECDSA_SHA_256"),
        "NotFoundException",
        "Alias arn:aws:kms:eu-central-1:111122223333:alias/none is not found.",
    );
    is(&sign("fake", 1, "RAW", "ECDSA_SHA_256"), "NotFoundException", "Invalid keyId 'fake'");
    is(
        &refused("GetPublicKey", json!({ "KeyId": "01234567-0123-4123-a123-0123456789ab" })),
        "NotFoundException",
        "' does not exist",
    );
    is(
        &refused("GetPublicKey", json!({})),
        "ValidationException",
        "Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    );
    is(&refused("GetPublicKey", json!({ "KeyId": "alias/aes" })), "UnsupportedOperationException", "");
    is(
        &refused("CreateKey", json!({ "KeySpec": "RSA_2048" })),
        "ValidationException",
        "You must specify a KeyUsage value",
    );
    is(
        &refused("CreateKey", json!({ "KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT" })),
        "ValidationException",
        "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
    );
    is(&refused("Nonsense", json!({})), "UnknownOperationException", "");
    let mut dry = sign_body("alias/ec", b"x", "RAW", "ECDSA_SHA_256");
    dry["DryRun"] = json!(true);
    is(&refused("Sign", dry), "DryRunOperationException", "");
    bench.emulator.control().switches(|switches| {
        (switches.kms_type_prefix, switches.kms_capital_message) = (true, true);
    });
    let answer = bench.kms("GetPublicKey", &json!({ "KeyId": "fake" })).json();
    assert_eq!(answer, json!({ "__type": "com.amazonaws.kms#NotFoundException", "Message": "Invalid keyId 'fake'" }));
}

#[test]
fn keys_are_disabled_and_deleted() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
    let body = sign_body(&key.id, b"x", "RAW", "ECDSA_SHA_256");
    let asked = json!({ "KeyId": key.id });
    assert_eq!(bench.kms("DisableKey", &asked).status, 200);
    assert_eq!(bench.kms_error("Sign", &body), ("DisabledException".into(), format!("{} is disabled.", key.arn)));
    assert_eq!(bench.kms("DescribeKey", &asked).json()["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(bench.kms("GetPublicKey", &asked).status, 200);
    assert_eq!(bench.kms("EnableKey", &asked).status, 200);
    assert_eq!(bench.kms("Sign", &body).status, 200);
    let deletion = bench.kms("ScheduleKeyDeletion", &json!({ "KeyId": key.id, "PendingWindowInDays": 7 })).json();
    assert_eq!(deletion["KeyState"], "PendingDeletion");
    let pending = ("KMSInvalidStateException".to_owned(), format!("{} is pending deletion.", key.arn));
    assert_eq!(bench.kms_error("Sign", &body), pending);
    assert_eq!(bench.kms_error("EnableKey", &asked), pending);
}

#[test]
fn lists_come_in_pages_also_with_thousands_of_keys() {
    let bench = bench();
    let aws = bench.emulator.aws();
    for number in 0..2500 {
        aws.create_key(AwsKey::new("RSA_2048").reuse().alias(&format!("alias/k{number:04}"))).unwrap();
    }
    let all = |operation: &str, list: &str, limit: u32| {
        let (mut found, mut pages, mut marker) = (Vec::new(), 0, Value::Null);
        loop {
            let mut body = json!({ "Limit": limit });
            if !marker.is_null() {
                body["Marker"] = marker.clone();
            }
            let page = bench.kms(operation, &body).json();
            found.extend(page[list].as_array().unwrap().iter().map(Value::to_string));
            pages += 1;
            if page["Truncated"] == false {
                assert!(page["NextMarker"].is_null());
                found.sort();
                found.dedup();
                return (found.len(), pages);
            }
            marker = page["NextMarker"].clone();
        }
    };
    assert_eq!(all("ListKeys", "Keys", 1000), (2500, 3));
    assert_eq!(all("ListAliases", "Aliases", 100), (2500, 25));
    bench.emulator.control().switches(|switches| switches.kms_empty_page = true);
    assert_eq!(all("ListKeys", "Keys", 1000), (2500, 4));
    assert_eq!(bench.kms_error("ListKeys", &json!({ "Limit": 1001 })).0, "ValidationException");
    assert_eq!(bench.kms_error("ListKeys", &json!({ "Marker": "%" })).0, "InvalidMarkerException");
}

#[test]
fn aliases_are_made_and_moved() {
    let bench = bench();
    let aws = bench.emulator.aws();
    let (one, two) =
        (aws.create_key(AwsKey::new("HMAC_256")).unwrap(), aws.create_key(AwsKey::new("HMAC_512")).unwrap());
    let alias = |key: &str| json!({ "AliasName": "alias/a", "TargetKeyId": key });
    assert_eq!(bench.kms("CreateAlias", &alias(&one.id)).status, 200);
    assert_eq!(bench.kms_error("CreateAlias", &alias(&two.id)).0, "AlreadyExistsException");
    assert_eq!(bench.kms("UpdateAlias", &alias(&two.id)).status, 200);
    assert_eq!(bench.kms("DescribeKey", &json!({ "KeyId": "alias/a" })).json()["KeyMetadata"]["KeySpec"], "HMAC_512");
    let refused = bench.kms_error("CreateAlias", &json!({ "AliasName": "a", "TargetKeyId": one.id }));
    assert!(refused.1.contains("must start with the prefix"));
}

#[test]
fn openssl_encrypts_and_kms_decrypts() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT")).unwrap();
    let public = bench.write("public.der", &bench.emulator.aws().public_key_spki(&key.id).unwrap());
    for (algorithm, hash) in [("RSAES_OAEP_SHA_1", "sha1"), ("RSAES_OAEP_SHA_256", "sha256")] {
        let (oaep, mgf) = (format!("rsa_oaep_md:{hash}"), format!("rsa_mgf1_md:{hash}"));
        let options = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &oaep, "-pkeyopt", &mgf];
        let command = [&["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", &public][..], &options].concat();
        let ciphertext = bench.openssl(&command, b"secret");
        let mut body =
            json!({ "KeyId": key.id, "CiphertextBlob": base64(&ciphertext), "EncryptionAlgorithm": algorithm });
        assert_eq!(unbase64(&bench.kms("Decrypt", &body).json()["Plaintext"]), b"secret");
        let other = json!({ "KeyId": key.id, "Plaintext": base64(b"other"), "EncryptionAlgorithm": algorithm });
        body["CiphertextBlob"] = bench.kms("Encrypt", &other).json()["CiphertextBlob"].clone();
        assert_eq!(unbase64(&bench.kms("Decrypt", &body).json()["Plaintext"]), b"other");
        body["CiphertextBlob"] = json!(base64(&[1; 256]));
        assert_eq!(bench.kms_error("Decrypt", &body).0, "InvalidCiphertextException");
    }
}

#[test]
fn macs_random_bytes_and_agreements() {
    let bench = bench();
    let aws = bench.emulator.aws();
    let key = aws.create_key(AwsKey::new("HMAC_256")).unwrap();
    let mut body = json!({ "KeyId": key.id, "Message": base64(b"m"), "MacAlgorithm": "HMAC_SHA_256" });
    let mac = bench.kms("GenerateMac", &body).json()["Mac"].clone();
    assert_eq!(unbase64(&mac).len(), 32);
    body["Mac"] = mac;
    assert_eq!(bench.kms("VerifyMac", &body).json()["MacValid"], true);
    body["Message"] = json!(base64(b"n"));
    assert_eq!(bench.kms_error("VerifyMac", &body).0, "KMSInvalidMacException");
    body["MacAlgorithm"] = json!("HMAC_SHA_512");
    assert_eq!(
        bench.kms_error("GenerateMac", &body).1,
        "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256."
    );
    assert_eq!(unbase64(&bench.kms("GenerateRandom", &json!({ "NumberOfBytes": 24 })).json()["Plaintext"]).len(), 24);
    assert!(
        bench
            .kms_error("GenerateRandom", &json!({ "NumberOfBytes": 1025 }))
            .1
            .contains("Value '1025' at 'numberOfBytes'")
    );
    let agree = |other: &str| {
        let spki = aws.public_key_spki(other).unwrap();
        json!({ "KeyAgreementAlgorithm": "ECDH", "PublicKey": base64(&spki) })
    };
    let one = aws.create_key(AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT").alias("alias/one")).unwrap();
    let two = aws.create_key(AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT")).unwrap();
    let (mut left, mut right) = (agree(&two.id), agree(&one.id));
    (left["KeyId"], right["KeyId"]) = (json!(one.id), json!(two.id));
    let secret = |body: &Value| bench.kms("DeriveSharedSecret", body).json()["SharedSecret"].clone();
    assert!(secret(&left).is_string());
    assert_eq!(secret(&left), secret(&right));
}

#[test]
fn credentials_clocks_and_signatures_are_checked() {
    let bench = bench();
    let code = |arguments: &[&str]| {
        let url = bench.emulator.http_url();
        let all = ["-H", "X-Amz-Target: TrentService.ListKeys", "--data-binary", "{}", &url];
        let answer = bench.curl(&[arguments, &all].concat());
        let code = answer.json()["__type"].as_str().unwrap_or("none").to_owned();
        (answer.status, code)
    };
    let sigv4 = ["--aws-sigv4", "aws:amz:eu-central-1:kms"];
    let with = |user: &str| code(&[&sigv4[..], &["--user", user]].concat());
    assert_eq!(with("emulator-access-key:emulator-secret-key"), (200, "none".into()));
    assert_eq!(with("emulator-access-key:wrong"), (400, "InvalidSignatureException".into()));
    assert_eq!(with("nobody:emulator-secret-key"), (400, "UnrecognizedClientException".into()));
    assert_eq!(code(&[]), (400, "MissingAuthenticationTokenException".into()));
    assert_eq!(code(&["-H", "Authorization: AWS4-HMAC-SHA256 x"]), (400, "IncompleteSignatureException".into()));
    let control = bench.emulator.control();
    for shift in [-3600, 3600] {
        control.shift_clock(shift);
        assert_eq!(with("emulator-access-key:emulator-secret-key"), (400, "InvalidSignatureException".into()));
    }
    control.shift_clock(0);
    assert!(bench.kms("ListKeys", &json!({})).header("x-amzn-requestid").is_some());
    assert_eq!(control.count("kms.ListKeys"), 8);
}

#[test]
fn roles_give_credentials_that_expire() {
    let bench = bench();
    bench.emulator.aws().allow_web_identity("a-web-token");
    let url = bench.emulator.http_url();
    let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fr&RoleSessionName=me&DurationSeconds=900";
    let refused = bench.curl(&["--data", &format!("{form}&WebIdentityToken=unknown"), &url]);
    assert!(refused.status == 400 && refused.text().contains("<Code>InvalidIdentityToken</Code>"));
    let reply = bench.curl(&["--data", &format!("{form}&WebIdentityToken=a-web-token"), &url]).text();
    let element = |name: &str| {
        let rest = reply.split(&format!("<{name}>")).nth(1).unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    let user = format!("{}:{}", element("AccessKeyId"), element("SecretAccessKey"));
    let token = format!("X-Amz-Security-Token: {}", element("SessionToken"));
    let list = |more: &[&str]| {
        let all =
            ["--aws-sigv4", "aws:amz:eu-central-1:kms", "--user", &user, "-H", "X-Amz-Target: TrentService.ListKeys"];
        bench.curl(&[&all[..], more, &["--data-binary", "{}", &url]].concat())
    };
    assert_eq!(list(&["-H", &token]).status, 200);
    assert_eq!(list(&[]).json()["__type"], "UnrecognizedClientException");
    bench.emulator.control().shift_clock(901);
    assert_eq!(list(&["-H", &token]).json()["__type"], "ExpiredTokenException");
    bench.emulator.control().shift_clock(0);
    let signed = ["--aws-sigv4", "aws:amz:eu-central-1:sts", "--user", "emulator-access-key:emulator-secret-key"];
    let form = form.replace("WithWebIdentity", "");
    let assumed = bench.curl(&[&signed[..], &["--data", &form, &url]].concat());
    assert!(assumed.status == 200 && assumed.text().contains("<SessionToken>"), "{assumed:?}");
    let identity =
        bench.curl(&[&signed[..], &["--data", "Action=GetCallerIdentity&Version=2011-06-15", &url]].concat());
    assert!(identity.text().contains("<Arn>arn:aws:iam::111122223333:user/emulator</Arn>"));
    assert_eq!(bench.emulator.control().count("sts.AssumeRole"), 1);
}

#[test]
fn a_seed_makes_the_same_ids() {
    let id = || {
        let emulator = Emulator::builder().seed(5).start().unwrap();
        emulator.aws().create_key(AwsKey::new("ECC_NIST_P256")).unwrap().id
    };
    assert_eq!(id(), id());
}
