/* A module that returns wrong results. It calls the module named by SPOIL_MODULE, and flips one bit of each signature, plaintext,
   ciphertext and secret; every verification fails, and random bytes are zeros. Every client script must fail with this module: a
   check that can't fail proves nothing. */
#define MODULE_VARIABLE "SPOIL_MODULE"
#include "interpose.h"

/* The key that was derived or unwrapped last. Its value is changed when it is read. */
static CK_OBJECT_HANDLE secret;

static CK_RV spoil(CK_RV rv, CK_BYTE *made, CK_ULONG *length) {
    /* Only the last byte is changed, so that r || s and RSA numbers stay well-formed. */
    if (rv == CKR_OK && made && *length > 0 && *length != CK_UNAVAILABLE_INFORMATION) made[*length - 1] ^= 1;
    return rv;
}

static CK_RV spoilt_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *length) {
    return spoil(real.C_Sign(session, data, data_len, out, length), out, length);
}

static CK_RV spoilt_sign_final(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *length) {
    return spoil(real.C_SignFinal(session, out, length), out, length);
}

static CK_RV spoilt_verify(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG length) {
    CK_RV rv = real.C_Verify(session, data, data_len, signature, length);
    return rv == CKR_OK ? CKR_SIGNATURE_INVALID : rv;
}

static CK_RV spoilt_verify_final(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG length) {
    CK_RV rv = real.C_VerifyFinal(session, signature, length);
    return rv == CKR_OK ? CKR_SIGNATURE_INVALID : rv;
}

static CK_RV spoilt_encrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *length) {
    return spoil(real.C_Encrypt(session, data, data_len, out, length), out, length);
}

static CK_RV spoilt_decrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *length) {
    return spoil(real.C_Decrypt(session, data, data_len, out, length), out, length);
}

static CK_RV spoilt_decrypt_final(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *length) {
    return spoil(real.C_DecryptFinal(session, out, length), out, length);
}

static CK_RV spoilt_derive(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                           CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *made) {
    CK_RV rv = real.C_DeriveKey(session, mechanism, base, template, count, made);
    if (rv == CKR_OK) secret = *made;
    return rv;
}

static CK_RV spoilt_unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE by, CK_BYTE *wrapped,
                           CK_ULONG wrapped_len, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *made) {
    CK_RV rv = real.C_UnwrapKey(session, mechanism, by, wrapped, wrapped_len, template, count, made);
    if (rv == CKR_OK) secret = *made;
    return rv;
}

static CK_RV spoilt_get(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count) {
    CK_RV rv = real.C_GetAttributeValue(session, object, template, count);
    for (CK_ULONG i = 0; secret && object == secret && i < count; i++)
        if (template[i].type == CKA_VALUE) spoil(rv, template[i].pValue, &template[i].ulValueLen);
    return rv;
}

static CK_RV spoilt_random(CK_SESSION_HANDLE session, CK_BYTE *bytes, CK_ULONG length) {
    CK_RV rv = real.C_GenerateRandom(session, bytes, length);
    if (rv == CKR_OK) memset(bytes, 0, length);
    return rv;
}

static void change(CK_FUNCTION_LIST *functions) {
    functions->C_Sign = spoilt_sign;
    functions->C_SignFinal = spoilt_sign_final;
    functions->C_Verify = spoilt_verify;
    functions->C_VerifyFinal = spoilt_verify_final;
    functions->C_Encrypt = spoilt_encrypt;
    functions->C_Decrypt = spoilt_decrypt;
    functions->C_DecryptFinal = spoilt_decrypt_final;
    functions->C_DeriveKey = spoilt_derive;
    functions->C_UnwrapKey = spoilt_unwrap;
    functions->C_GetAttributeValue = spoilt_get;
    functions->C_GenerateRandom = spoilt_random;
}
