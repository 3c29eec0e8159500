/* A module that answers wrongly: everything goes to the module named by SPOIL_MODULE, and one bit of each signature, text,
   ciphertext and secret is flipped on the way back; no signature verifies, and random bytes are zeros. With it every client
   script has to fail: a check that can't fail checks nothing. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11.h"

static CK_FUNCTION_LIST list_2_40;
static CK_FUNCTION_LIST_3_0 list_3_0;
static CK_FUNCTION_LIST_3_2 list_3_2;
static CK_FUNCTION_LIST real;
static CK_INTERFACE interfaces[3];
/* What was last derived or unwrapped: its value is spoilt when it is read. */
static CK_OBJECT_HANDLE secret;

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags);

static CK_RV spoil(CK_RV rv, CK_BYTE *made, CK_ULONG *length) {
    /* The last byte: an r || s or an RSA number stays well-formed. */
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

static void adopt(CK_INTERFACE *interface, void *copy, size_t size, CK_BYTE major, CK_BYTE minor) {
    CK_FUNCTION_LIST *head = copy;
    memcpy(copy, interface->pFunctionList, size);
    if (head->version.major != major || head->version.minor != minor) abort();
    /* The same functions in each list. */
    memcpy(&real, head, sizeof real);
    head->C_Sign = spoilt_sign;
    head->C_SignFinal = spoilt_sign_final;
    head->C_Verify = spoilt_verify;
    head->C_VerifyFinal = spoilt_verify_final;
    head->C_Encrypt = spoilt_encrypt;
    head->C_Decrypt = spoilt_decrypt;
    head->C_DecryptFinal = spoilt_decrypt_final;
    head->C_DeriveKey = spoilt_derive;
    head->C_UnwrapKey = spoilt_unwrap;
    head->C_GetAttributeValue = spoilt_get;
    head->C_GenerateRandom = spoilt_random;
    interface->pFunctionList = copy;
}

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("SPOIL_MODULE");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_C_GetInterfaceList get = module ? (CK_C_GetInterfaceList)dlsym(module, "C_GetInterfaceList") : NULL;
    CK_ULONG count = 3;
    if (!get || get(interfaces, &count) != CKR_OK || count != 3) {
        fprintf(stderr, "spoil: SPOIL_MODULE does not name the module: %s\n", path ? path : "unset");
        abort();
    }
    adopt(&interfaces[0], &list_3_0, sizeof list_3_0, 3, 0);
    adopt(&interfaces[1], &list_3_2, sizeof list_3_2, 3, 2);
    adopt(&interfaces[2], &list_2_40, sizeof list_2_40, 2, 40);
    /* A list gives out lists, too: pkcs11-spy asks that way. */
    list_2_40.C_GetFunctionList = list_3_0.C_GetFunctionList = list_3_2.C_GetFunctionList = C_GetFunctionList;
    list_3_0.C_GetInterfaceList = list_3_2.C_GetInterfaceList = C_GetInterfaceList;
    list_3_0.C_GetInterface = list_3_2.C_GetInterface = C_GetInterface;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
    *list = &list_2_40;
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count) {
    if (list) memcpy(list, interfaces, sizeof interfaces);
    *count = 3;
    return CKR_OK;
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags) {
    (void)flags;
    if (name && strcmp((char *)name, "PKCS 11")) return CKR_ARGUMENTS_BAD;
    for (int i = 0; i < 3; i++) {
        CK_VERSION *own = interfaces[i].pFunctionList;
        if (!version || (version->major == own->major && version->minor == own->minor)) {
            *interface = &interfaces[i];
            return CKR_OK;
        }
    }
    return CKR_ARGUMENTS_BAD;
}
