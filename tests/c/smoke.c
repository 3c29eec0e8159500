/* Loads the module from C and calls every function list, without a request. Checks that the sizes and layouts of the Rust
   structures are those of the public-domain header. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "pkcs11.h"

static int failures, checks;

#define CHECK(condition)                                            \
    do {                                                            \
        checks++;                                                   \
        if (!(condition)) {                                         \
            failures++;                                             \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
        }                                                           \
    } while (0)

static void check_list(void **functions, size_t count) {
    for (size_t i = 0; i < count; i++) CHECK(functions[i] != NULL);
}

static void check_slots(CK_FUNCTION_LIST *p11) {
    CK_ULONG count = 0;
    CK_SLOT_ID slot = 99;
    CK_TOKEN_INFO token;
    CK_MECHANISM_TYPE mechanisms[128];
    /* The mechanisms with a key come first, the digests last. */
    CK_ULONG keyed = 0, digesting = 0;
    const CK_FLAGS with_key = CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_DERIVE;
    CK_MECHANISM_INFO info;
    CHECK(p11->C_GetSlotList(CK_TRUE, NULL, &count) == CKR_OK && count == 1);
    CHECK(p11->C_GetSlotList(CK_TRUE, &slot, &count) == CKR_OK && slot == 0);
    CHECK(p11->C_GetTokenInfo(slot, &token) == CKR_OK);
    CHECK(memcmp(token.label, "smoke                           ", 32) == 0);
    CHECK(memcmp(token.manufacturerID, "aws_kms  ", 9) == 0);
    CHECK((token.flags & CKF_LOGIN_REQUIRED) == 0 && (token.flags & CKF_TOKEN_INITIALIZED) != 0);
    count = 128;
    CHECK(p11->C_GetMechanismList(slot, mechanisms, &count) == CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        CHECK(p11->C_GetMechanismInfo(slot, mechanisms[i], &info) == CKR_OK && (info.flags & (with_key | CKF_DIGEST)));
        if (info.flags & CKF_DIGEST) digesting++;
        else if (digesting == 0) keyed++;
    }
    CHECK(keyed > 0 && digesting > 0 && keyed + digesting == count);
    CHECK(p11->C_GetTokenInfo(7, &token) == CKR_SLOT_ID_INVALID);
}

static void check_session(CK_FUNCTION_LIST *p11) {
    CK_SESSION_HANDLE session = 0;
    CK_SESSION_INFO info;
    CK_OBJECT_HANDLE object;
    CK_ULONG found = 9;
    CK_OBJECT_CLASS vendor = CKO_VENDOR_DEFINED | 0x4e534353;
    CK_ATTRIBUTE template = {CKA_CLASS, &vendor, sizeof vendor};
    CHECK(p11->C_OpenSession(0, 0, NULL, NULL, &session) == CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    CHECK(p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    CHECK(p11->C_GetSessionInfo(session, &info) == CKR_OK && info.state == CKS_RO_PUBLIC_SESSION);
    CHECK(p11->C_Login(session, CKU_USER, NULL, 0) == CKR_OK);
    CHECK(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4) == CKR_USER_ALREADY_LOGGED_IN);
    CHECK(p11->C_GetSessionInfo(session, &info) == CKR_OK && info.state == CKS_RO_USER_FUNCTIONS);
    CHECK(p11->C_Logout(session) == CKR_OK);
    CHECK(p11->C_FindObjectsInit(session, &template, 1) == CKR_OK);
    CHECK(p11->C_FindObjects(session, &object, 1, &found) == CKR_OK && found == 0);
    CHECK(p11->C_FindObjectsFinal(session) == CKR_OK);
    CHECK(p11->C_Sign(session, NULL, 0, NULL, &found) == CKR_OPERATION_NOT_INITIALIZED);
    CK_BYTE random[2000] = {0}, zeros[100] = {0};
    CHECK(p11->C_GenerateRandom(session, random, sizeof random) == CKR_OK);
    CHECK(memcmp(random, zeros, 100) != 0 && memcmp(random + 1900, zeros, 100) != 0);
    CHECK(p11->C_SeedRandom(session, random, 1) == CKR_RANDOM_SEED_NOT_SUPPORTED);
    CHECK(p11->C_EncryptInit(session, NULL, 0) == CKR_OK);
    CHECK(p11->C_DigestKey(session, 0) == CKR_FUNCTION_NOT_SUPPORTED);
    CHECK(p11->C_GetFunctionStatus(session) == CKR_FUNCTION_NOT_PARALLEL);
    CHECK(p11->C_CloseSession(session) == CKR_OK);
    CHECK(p11->C_CloseSession(session) == CKR_SESSION_HANDLE_INVALID);
}

static void check_interfaces(void *module) {
    CK_C_GetInterfaceList list = (CK_C_GetInterfaceList)dlsym(module, "C_GetInterfaceList");
    CK_C_GetInterface get = (CK_C_GetInterface)dlsym(module, "C_GetInterface");
    CK_INTERFACE interfaces[3], *one = NULL;
    CK_ULONG count = 0;
    CK_VERSION newest = {3, 2}, version = {3, 0}, unknown = {4, 0};
    CHECK(list(NULL, &count) == CKR_OK && count == 3);
    CHECK(list(interfaces, &count) == CKR_OK);
    for (CK_ULONG i = 0; i < 3; i++) CHECK(strcmp((char *)interfaces[i].pInterfaceName, "PKCS 11") == 0);
    /* Without a version, the module returns the interface 3.0, because pkcs11-spy does not support later ones. */
    CHECK(get(NULL, NULL, &one, 0) == CKR_OK && ((CK_FUNCTION_LIST_3_0 *)one->pFunctionList)->version.minor == 0);
    CHECK(((CK_FUNCTION_LIST_3_0 *)interfaces[0].pFunctionList)->version.minor == 0);
    CHECK(get(NULL, &newest, &one, 0) == CKR_OK && ((CK_FUNCTION_LIST_3_2 *)one->pFunctionList)->version.minor == 2);
    check_list((void **)&((CK_FUNCTION_LIST_3_2 *)one->pFunctionList)->C_Initialize,
               (sizeof(CK_FUNCTION_LIST_3_2) - sizeof(void *)) / sizeof(void *));
    CHECK(get((CK_UTF8CHAR *)"PKCS 11", &version, &one, 0) == CKR_OK);
    check_list((void **)&((CK_FUNCTION_LIST_3_0 *)one->pFunctionList)->C_Initialize,
               (sizeof(CK_FUNCTION_LIST_3_0) - sizeof(void *)) / sizeof(void *));
    CHECK(((CK_FUNCTION_LIST_3_0 *)one->pFunctionList)->C_SessionCancel(0, 0) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(get((CK_UTF8CHAR *)"PKCS 11", &unknown, &one, 0) == CKR_ARGUMENTS_BAD);
    CHECK(get((CK_UTF8CHAR *)"Vendor X", NULL, &one, 0) == CKR_ARGUMENTS_BAD);
    CHECK(get(NULL, NULL, &one, 1UL << 20) == CKR_ARGUMENTS_BAD);
}

static CK_RV create_mutex(void **mutex) {
    *mutex = NULL;
    return CKR_OK;
}

static CK_RV use_mutex(void *mutex) {
    (void)mutex;
    return CKR_OK;
}

static void check_initialize(CK_FUNCTION_LIST *p11) {
    CK_C_INITIALIZE_ARGS reserved = {NULL, NULL, NULL, NULL, CKF_OS_LOCKING_OK, &failures};
    CK_C_INITIALIZE_ARGS threads = {NULL, NULL, NULL, NULL, CKF_LIBRARY_CANT_CREATE_OS_THREADS, NULL};
    /* NSS sets both flags and passes callbacks. */
    CK_C_INITIALIZE_ARGS nss = {create_mutex, use_mutex, use_mutex, use_mutex, CKF_LIBRARY_CANT_CREATE_OS_THREADS | CKF_OS_LOCKING_OK, NULL};
    CK_C_INITIALIZE_ARGS callbacks = {create_mutex, use_mutex, use_mutex, use_mutex, 0, NULL};
    CK_C_INITIALIZE_ARGS some = {create_mutex, use_mutex, NULL, NULL, CKF_OS_LOCKING_OK, NULL};
    CK_C_INITIALIZE_ARGS good = {NULL, NULL, NULL, NULL, CKF_OS_LOCKING_OK, NULL};
    CHECK(p11->C_GetSlotList(CK_TRUE, NULL, NULL) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(p11->C_Initialize(&reserved) == CKR_ARGUMENTS_BAD);
    CHECK(p11->C_Initialize(&threads) == CKR_NEED_TO_CREATE_THREADS);
    CHECK(p11->C_Initialize(&callbacks) == CKR_CANT_LOCK);
    CHECK(p11->C_Initialize(&some) == CKR_ARGUMENTS_BAD);
    CHECK(p11->C_Initialize(&nss) == CKR_OK);
    CHECK(p11->C_Finalize(&failures) == CKR_ARGUMENTS_BAD);
    CHECK(p11->C_Finalize(NULL) == CKR_OK);
    CHECK(p11->C_Initialize(&good) == CKR_OK);
    CHECK(p11->C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    CHECK(p11->C_GetSlotList(CK_TRUE, NULL, NULL) == CKR_ARGUMENTS_BAD);
}

int main(int argc, char **argv) {
    void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!module) {
        fprintf(stderr, "usage: smoke MODULE.so: %s\n", argc == 2 ? dlerror() : "one argument");
        return 2;
    }
    CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
    CK_FUNCTION_LIST *p11 = NULL;
    CK_INFO info;
    CHECK(get(NULL) == CKR_ARGUMENTS_BAD);
    CHECK(get(&p11) == CKR_OK && p11->version.major == 2 && p11->version.minor == 40);
    check_list((void **)&p11->C_Initialize, (sizeof(CK_FUNCTION_LIST) - sizeof(void *)) / sizeof(void *));
    check_interfaces(module);
    check_initialize(p11);
    CHECK(p11->C_GetInfo(&info) == CKR_OK && info.cryptokiVersion.major == 2);
    check_slots(p11);
    check_session(p11);
    CHECK(p11->C_Finalize(NULL) == CKR_OK);
    dlclose(module);
    printf("%d passed, %d failed\n", checks - failures, failures);
    return failures != 0;
}
