// node sign.js MODULE TOKEN FILE FOLDER: signs with graphene-pk11, once without a login, and after a login with every mechanism that the
// token lists. Node's crypto module verifies the signatures with the token's public key. Writes them to FOLDER/no-login-SHA256.sig and
// FOLDER/MECHANISM.sig.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const graphene = require("graphene-pk11");

const { MechanismEnum, ObjectClass, RsaMgf, RsaPssParams } = graphene;
const SHA256_PREFIX = Buffer.from("3031300d060960864801650304020105000420", "hex");
const CURVES = { "06082a8648ce3d030107": "P-256", "06052b81040022": "P-384", "06052b81040023": "P-521", "06052b8104000a": "secp256k1" };

// Name, hash, and whether the mechanism hashes the data.
function mechanisms(isRsa) {
    if (!isRsa) {
        return [["ECDSA", "sha256", false], ...["1", "224", "256", "384", "512"].map((size) => [`ECDSA_SHA${size}`, `sha${size}`, true])];
    }
    const sizes = ["256", "384", "512"];
    return [
        ["RSA_PKCS", "sha256", false],
        ["RSA_PKCS_PSS", "sha256", false],
        ...sizes.map((size) => [`SHA${size}_RSA_PKCS`, `sha${size}`, true]),
        ...sizes.map((size) => [`SHA${size}_RSA_PKCS_PSS`, `sha${size}`, true]),
    ];
}

function one(session, objectClass) {
    const found = session.find({ class: objectClass });
    if (found.length !== 1) throw new Error(`expected one object of class ${objectClass}, found ${found.length}`);
    return found.items(0);
}

function readPublic(session, isRsa) {
    const object = one(session, ObjectClass.PUBLIC_KEY);
    let key;
    if (isRsa) {
        const { modulus, publicExponent } = object.getAttribute({ modulus: null, publicExponent: null });
        key = { kty: "RSA", n: modulus.toString("base64url"), e: publicExponent.toString("base64url") };
    } else {
        const { paramsECDSA, pointEC } = object.getAttribute({ paramsECDSA: null, pointEC: null });
        // CKA_EC_POINT is an uncompressed point in an OCTET STRING.
        const point = pointEC.subarray(2 + (pointEC[1] & 0x80 ? pointEC[1] & 0x7f : 0));
        const half = (point.length - 1) / 2;
        key = {
            kty: "EC",
            crv: CURVES[paramsECDSA.toString("hex")],
            x: point.subarray(1, 1 + half).toString("base64url"),
            y: point.subarray(1 + half).toString("base64url"),
        };
    }
    return crypto.createPublicKey({ key, format: "jwk" });
}

function integer(number) {
    let start = 0;
    while (start < number.length - 1 && number[start] === 0) start++;
    const value = number[start] & 0x80 ? Buffer.concat([Buffer.from([0]), number.subarray(start)]) : number.subarray(start);
    return Buffer.concat([Buffer.from([2, value.length]), value]);
}

function toDer(raw) {
    const body = Buffer.concat([integer(raw.subarray(0, raw.length / 2)), integer(raw.subarray(raw.length / 2))]);
    return Buffer.concat([Buffer.from(body.length < 0x80 ? [0x30, body.length] : [0x30, 0x81, body.length]), body]);
}

function main([modulePath, label, file, folder]) {
    const data = fs.readFileSync(file);
    fs.mkdirSync(folder, { recursive: true });
    const module = graphene.Module.load(modulePath, "cloud-kms-pkcs11");
    module.initialize();
    try {
        const slots = module.getSlots(true);
        let slot;
        for (let i = 0; i < slots.length; i++) {
            if (slots.items(i).getToken().label.trim() === label) slot = slots.items(i);
        }
        if (!slot) throw new Error(`the module has no token ${label}`);
        const listed = new Set();
        const list = slot.getMechanisms();
        for (let i = 0; i < list.length; i++) listed.add(list.items(i).type);

        const session = slot.open();
        let key = one(session, ObjectClass.PRIVATE_KEY).toType();
        const isRsa = key.type === graphene.KeyType.RSA;
        const verifier = readPublic(session, isRsa);
        // Verifies a signature, and writes it to a file.
        function keep(name, hash, how, signature) {
            // PKCS#11 returns an ECDSA signature as r || s. OpenSSL reads DER.
            if (!crypto.verify(hash, data, { key: verifier, dsaEncoding: "ieee-p1363", ...how }, signature)) {
                throw new Error(`${name}: the signature is wrong`);
            }
            fs.writeFileSync(path.join(folder, `${name}.sig`), isRsa ? signature : toDer(signature));
            console.log("signed", name);
        }

        // No login is needed.
        const first = session.createSign(isRsa ? "SHA256_RSA_PKCS" : "ECDSA_SHA256", key);
        first.update(data);
        keep("no-login-SHA256", "sha256", {}, first.final());

        // Any PIN is accepted.
        session.login("");
        session.logout();
        session.login("12345");
        key = one(session, ObjectClass.PRIVATE_KEY).toType();
        const found = session.find();
        for (let i = 0; i < found.length; i++) {
            const { class: objectClass, label: name, id } = found.items(i).getAttribute({ class: null, label: null, id: null });
            console.log("object", ObjectClass[objectClass], name, id.toString("hex"));
        }
        for (const [name, hash, whole] of mechanisms(isRsa)) {
            if (!listed.has(MechanismEnum[name])) throw new Error(`the token does not list ${name}`);
            const digest = crypto.createHash(hash).update(data).digest();
            const pss = name.endsWith("PSS");
            const upper = hash.toUpperCase();
            const params = pss ? new RsaPssParams(MechanismEnum[upper], RsaMgf[`MGF1_${upper}`], digest.length) : null;
            const signer = session.createSign({ name, params }, key);
            let signature;
            if (whole) {
                signer.update(data.subarray(0, 300));
                signer.update(data.subarray(300));
                signature = signer.final();
            } else {
                signature = signer.once(name === "RSA_PKCS" ? Buffer.concat([SHA256_PREFIX, digest]) : digest);
            }
            keep(name, hash, pss ? { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: digest.length } : {}, signature);
        }
        session.logout();
        session.close();
    } finally {
        module.finalize();
    }
}

main(process.argv.slice(2));
