/* The base of a module that wraps the real module, whose path is in the environment variable MODULE_VARIABLE. It has copies of the
   three function lists. A file that includes this header defines MODULE_VARIABLE, and the function `change`, which replaces
   functions in a list. It calls the real functions as `real.C_...`. */
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

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags);

static void change(CK_FUNCTION_LIST *functions);

static void adopt(CK_INTERFACE *interface, void *copy, size_t size, CK_BYTE major, CK_BYTE minor) {
    CK_FUNCTION_LIST *head = copy;
    memcpy(copy, interface->pFunctionList, size);
    if (head->version.major != major || head->version.minor != minor) abort();
    /* Each list has the same functions of version 2.40. */
    memcpy(&real, head, sizeof real);
    change(head);
    interface->pFunctionList = copy;
}

__attribute__((constructor)) static void load(void) {
    const char *path = getenv(MODULE_VARIABLE);
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_C_GetInterfaceList get = module ? (CK_C_GetInterfaceList)dlsym(module, "C_GetInterfaceList") : NULL;
    CK_ULONG count = 3;
    if (!get || get(interfaces, &count) != CKR_OK || count != 3) {
        fprintf(stderr, "%s does not name the module: %s\n", MODULE_VARIABLE, path ? path : "unset");
        abort();
    }
    adopt(&interfaces[0], &list_3_0, sizeof list_3_0, 3, 0);
    adopt(&interfaces[1], &list_3_2, sizeof list_3_2, 3, 2);
    adopt(&interfaces[2], &list_2_40, sizeof list_2_40, 2, 40);
    /* The lists also have the functions that return lists, and pkcs11-spy calls these. */
    list_2_40.C_GetFunctionList = list_3_0.C_GetFunctionList = list_3_2.C_GetFunctionList = C_GetFunctionList;
    list_3_0.C_GetInterfaceList = list_3_2.C_GetInterfaceList = C_GetInterfaceList;
    list_3_0.C_GetInterface = list_3_2.C_GetInterface = C_GetInterface;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
    *list = &list_2_40;
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count) {
    CK_RV rv = list && *count < 3 ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    if (list && rv == CKR_OK) memcpy(list, interfaces, sizeof interfaces);
    *count = 3;
    return rv;
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
