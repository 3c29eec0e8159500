#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cloud_kms_pkcs11::fuzzing::google(data));
