/* A module that signs wrongly: everything goes to the module named by SPOIL_MODULE, and one bit of each signature is
   flipped on the way back. With it every client script has to fail: a check that can't fail checks nothing. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11.h"

static CK_FUNCTION_LIST list_2_40;
static CK_FUNCTION_LIST_3_0 list_3_0;
static CK_FUNCTION_LIST_3_2 list_3_2;
static CK_C_Sign real_sign;
static CK_C_SignFinal real_sign_final;
static CK_INTERFACE interfaces[3];

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags);

static void spoil(CK_RV rv, CK_BYTE *signature, CK_ULONG *length) {
    /* The last byte: an r || s or an RSA number stays well-formed. */
    if (rv == CKR_OK && signature && *length > 0) signature[*length - 1] ^= 1;
}

static CK_RV spoilt_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *length) {
    CK_RV rv = real_sign(session, data, data_len, signature, length);
    spoil(rv, signature, length);
    return rv;
}

static CK_RV spoilt_sign_final(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *length) {
    CK_RV rv = real_sign_final(session, signature, length);
    spoil(rv, signature, length);
    return rv;
}

static void adopt(CK_INTERFACE *interface, void *copy, size_t size, CK_BYTE major, CK_BYTE minor) {
    CK_FUNCTION_LIST *head = copy;
    memcpy(copy, interface->pFunctionList, size);
    if (head->version.major != major || head->version.minor != minor) abort();
    real_sign = head->C_Sign;
    real_sign_final = head->C_SignFinal;
    head->C_Sign = spoilt_sign;
    head->C_SignFinal = spoilt_sign_final;
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
    adopt(&interfaces[0], &list_3_2, sizeof list_3_2, 3, 2);
    adopt(&interfaces[1], &list_3_0, sizeof list_3_0, 3, 0);
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
    if (name && strcmp((char *)name, "PKCS 11")) return CKR_FUNCTION_FAILED;
    for (int i = 0; i < 3; i++) {
        CK_VERSION *own = interfaces[i].pFunctionList;
        if (!version || (version->major == own->major && version->minor == own->minor)) {
            *interface = &interfaces[i];
            return CKR_OK;
        }
    }
    return CKR_FUNCTION_FAILED;
}
