/* Wraps the module named by KEPT_MODULE. When a program generates a session key, this generates a token key instead, and destroys it
   when the session is closed: the services can't make keys for a session only. pkcs11-check generates session keys in all tests,
   so only this way do its tests use the services. */
#include <unistd.h>

#define MODULE_VARIABLE "KEPT_MODULE"
#include "interpose.h"

#define MOST 64

static CK_BBOOL yes = CK_TRUE;

/* Copies the template with CKA_TOKEN true, and adds a CKA_LABEL if it has none, because a vault names its keys after it. */
static CK_ULONG keep(CK_ATTRIBUTE *kept, CK_ATTRIBUTE *template, CK_ULONG count, char *label, size_t label_len) {
    int labelled = 0, tokened = 0;
    if (!template || count > MOST - 2) return 0;
    for (CK_ULONG i = 0; i < count; i++) {
        kept[i] = template[i];
        labelled |= template[i].type == CKA_LABEL;
        if (template[i].type == CKA_TOKEN && template[i].ulValueLen == sizeof yes && template[i].pValue) {
            kept[i].pValue = &yes;
            tokened = 1;
        }
    }
    if (!tokened) kept[count++] = (CK_ATTRIBUTE){CKA_TOKEN, &yes, sizeof yes};
    if (!labelled) kept[count++] = (CK_ATTRIBUTE){CKA_LABEL, label, label_len};
    return count;
}

/* The label is unique among all processes. */
static size_t new_label(char *label, size_t size) {
    static unsigned made;
    return (size_t)snprintf(label, size, "kept-%d-%u", getpid(), made++);
}

/* The keys to destroy. If a program generates more, the others remain in the service. */
static struct {
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
} made_keys[1024];

static CK_RV remember(CK_RV rv, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *key) {
    for (size_t i = 0; rv == CKR_OK && key && i < sizeof made_keys / sizeof *made_keys; i++)
        if (!made_keys[i].key) {
            made_keys[i].session = session;
            made_keys[i].key = *key;
            break;
        }
    return rv;
}

static CK_RV kept_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
    for (size_t i = 0; object && i < sizeof made_keys / sizeof *made_keys; i++)
        if (made_keys[i].key == object) made_keys[i].key = 0;
    return real.C_DestroyObject(session, object);
}

static CK_RV kept_close(CK_SESSION_HANDLE session) {
    for (size_t i = 0; i < sizeof made_keys / sizeof *made_keys; i++)
        if (made_keys[i].key && made_keys[i].session == session) kept_destroy(session, made_keys[i].key);
    return real.C_CloseSession(session);
}

static CK_RV kept_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG public_count,
                       CK_ATTRIBUTE *private, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key,
                       CK_OBJECT_HANDLE *private_key) {
    CK_ATTRIBUTE one[MOST], two[MOST];
    char label[40];
    size_t length = new_label(label, sizeof label);
    CK_ULONG ones = keep(one, public, public_count, label, length), twos = keep(two, private, private_count, label, length);
    if (!ones || !twos)
        return real.C_GenerateKeyPair(session, mechanism, public, public_count, private, private_count, public_key, private_key);
    CK_RV rv = real.C_GenerateKeyPair(session, mechanism, one, ones, two, twos, public_key, private_key);
    return remember(rv, session, private_key);
}

static CK_RV kept_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template, CK_ULONG count,
                      CK_OBJECT_HANDLE *key) {
    CK_ATTRIBUTE one[MOST];
    char label[40];
    size_t length = new_label(label, sizeof label);
    CK_ULONG ones = keep(one, template, count, label, length);
    if (!ones) return real.C_GenerateKey(session, mechanism, template, count, key);
    return remember(real.C_GenerateKey(session, mechanism, one, ones, key), session, key);
}

static void change(CK_FUNCTION_LIST *functions) {
    functions->C_GenerateKeyPair = kept_pair;
    functions->C_GenerateKey = kept_key;
    functions->C_DestroyObject = kept_destroy;
    functions->C_CloseSession = kept_close;
}
