/* A program that loads the module. Run by tests/module/process/programs.rs, also under valgrind.
     host MODULE everything      calls all functions, from several threads and a forked child
     host MODULE cycles COUNT    loads and unloads the module COUNT times
     host MODULE end-by WAY      ends the process during calls, without C_Finalize; WAY is return, exit, exit-elsewhere (exit in
                                 another thread), quick (quick_exit), atexit (C_Finalize in a handler), forked or dlclose
     host MODULE close-all FROM  closes all descriptors from the number FROM on, and opens others under the same numbers
     host MODULE close-amid      begins a call at the first line from standard input, and closes the descriptors at the second,
                                 while the call waits */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define MEMORY_ERRORS VALGRIND_COUNT_ERRORS
#else
#define MEMORY_ERRORS 0
#endif

#include "pkcs11.h"

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            fprintf(stderr, "host.c:%d: %s\n", __LINE__, #condition);    \
            _exit(1);                                                    \
        }                                                                \
    } while (0)
#define OK(call)                                                         \
    do {                                                                 \
        CK_RV rv = (call);                                               \
        if (rv != CKR_OK) {                                              \
            fprintf(stderr, "host.c:%d: %s: %lx\n", __LINE__, #call, rv); \
            _exit(1);                                                    \
        }                                                                \
    } while (0)

static void *module;
static CK_FUNCTION_LIST *p11;

static void load(const char *path) {
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) fprintf(stderr, "%s\n", dlerror());
    CHECK(module);
    CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
    OK(get(&p11));
    OK(p11->C_Initialize(NULL));
}

static void unload(void) {
    OK(p11->C_Finalize(NULL));
    CHECK(dlclose(module) == 0);
}

static CK_SESSION_HANDLE open_session(CK_SLOT_ID slot) {
    CK_SESSION_HANDLE session;
    OK(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    return session;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class) {
    CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof class};
    CK_OBJECT_HANDLE object = 0;
    CK_ULONG count = 0;
    OK(p11->C_FindObjectsInit(session, &template, 1));
    OK(p11->C_FindObjects(session, &object, 1, &count));
    OK(p11->C_FindObjectsFinal(session));
    CHECK(count == 1);
    return object;
}

static CK_RV sign_in(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type) {
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_BYTE data[32] = {1, 2, 3}, signature[512];
    CK_ULONG length = sizeof signature;
    CK_RV rv = p11->C_SignInit(session, &mechanism, key);
    return rv != CKR_OK ? rv : p11->C_Sign(session, data, sizeof data, signature, &length);
}

static const CK_MECHANISM_TYPE MECHANISM[2] = {CKM_ECDSA, CKM_SHA256_RSA_PKCS};

/* One signature with the key of each cloud. */
static void sign_both(void) {
    for (CK_SLOT_ID slot = 0; slot < 2; slot++) {
        CK_SESSION_HANDLE session = open_session(slot);
        OK(sign_in(session, find(session, CKO_PRIVATE_KEY), MECHANISM[slot]));
        OK(p11->C_CloseSession(session));
    }
}

static int count_of(const char *folder) {
    DIR *dir = opendir(folder);
    int count = 0;
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

/* Prints the process's resident memory in kilobytes and its numbers of open files and threads. */
static void report(const char *when) {
    char line[256];
    long resident = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status)) sscanf(line, "VmRSS: %ld", &resident);
    fclose(status);
    /* The kernel removes a thread from /proc/self/task a moment after pthread_join has returned. */
    for (int i = 0; i < 1000 && count_of("/proc/self/task") > 3; i++) usleep(1000);
    printf("%s %ld %d %d\n", when, resident, count_of("/proc/self/fd"), count_of("/proc/self/task"));
    fflush(stdout);
}

static void cycles(const char *path, int count) {
    for (int i = 0; i <= count; i++) {
        load(path);
        sign_both();
        unload();
        if (i == count / 10) report("begun");
        if (i == count / 10 + (count - count / 10) / 2) report("half");
    }
    report("done");
}

static void *sign_for_ever(void *slot) {
    CK_SESSION_HANDLE session = open_session((CK_SLOT_ID)slot);
    CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY);
    while (1) sign_in(session, key, MECHANISM[(CK_SLOT_ID)slot]);
    return NULL;
}

static void *exit_7(void *unused) {
    (void)unused;
    exit(7);
}

static void finalize(void) { OK(p11->C_Finalize(NULL)); }

/* Ends the process with status 7 in the given way, after a line from standard input, while four threads wait for the services. */
static int end_by(const char *way) {
    pthread_t thread;
    sign_both();
    for (size_t i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, sign_for_ever, (void *)(i % 2)) == 0);
    CHECK(getchar() == '\n');
    if (strcmp(way, "exit") == 0) exit(7);
    if (strcmp(way, "quick") == 0) quick_exit(7);
    if (strcmp(way, "exit-elsewhere") == 0) {
        CHECK(pthread_create(&thread, NULL, exit_7, NULL) == 0);
        pthread_join(thread, NULL);
    }
    if (strcmp(way, "atexit") == 0) atexit(finalize);
    if (strcmp(way, "dlclose") == 0) dlclose(module);
    if (strcmp(way, "forked") == 0) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) exit(7);
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    }
    return 7;
}

static void *sign_some(void *unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) sign_both();
    return NULL;
}

/* Reads attributes of an object: the length, the value, and with a buffer that is too small. */
static void read_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_CLASS, CKA_ID, CKA_LABEL, CKA_KEY_TYPE, CKA_MODULUS, CKA_PUBLIC_EXPONENT,
                                              CKA_EC_PARAMS, CKA_EC_POINT, CKA_SUBJECT, CKA_VALUE, CKA_PRIVATE_EXPONENT,
                                              CKA_ALLOWED_MECHANISMS, CKA_PUBLIC_KEY_INFO, CKA_SIGN, 0x7fffffff};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        CK_ATTRIBUTE attribute = {types[i], NULL, 0};
        if (p11->C_GetAttributeValue(session, object, &attribute, 1) != CKR_OK) continue;
        attribute.pValue = malloc(attribute.ulValueLen);
        OK(p11->C_GetAttributeValue(session, object, &attribute, 1));
        /* Every byte is read, so that valgrind finds a byte that the module has not written. */
        CK_ULONG zeros = 0;
        for (CK_ULONG byte = 0; byte < attribute.ulValueLen; byte++) {
            if (((CK_BYTE *)attribute.pValue)[byte] == 0) zeros++;
        }
        CHECK(zeros <= attribute.ulValueLen);
        if (attribute.ulValueLen > 0) {
            attribute.ulValueLen--;
            CHECK(p11->C_GetAttributeValue(session, object, &attribute, 1) == CKR_BUFFER_TOO_SMALL);
        }
        free(attribute.pValue);
    }
}

/* Signs in parts, into a buffer of exactly the length that a size query has returned. */
static void sign_in_parts(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_MECHANISM *mechanism) {
    CK_BYTE part[100] = {9};
    CK_ULONG length = 0;
    OK(p11->C_SignInit(session, mechanism, key));
    OK(p11->C_SignUpdate(session, part, sizeof part));
    OK(p11->C_SignUpdate(session, NULL, 0));
    OK(p11->C_SignFinal(session, NULL, &length));
    CK_BYTE *signature = malloc(length--);
    CHECK(p11->C_SignFinal(session, signature, &length) == CKR_BUFFER_TOO_SMALL);
    OK(p11->C_SignFinal(session, signature, &length));
    free(signature);
}

static void use_slot(CK_SLOT_ID slot) {
    CK_SESSION_HANDLE session = open_session(slot);
    CK_TOKEN_INFO token;
    CK_SLOT_INFO info;
    CK_SESSION_INFO state;
    CK_MECHANISM_INFO can;
    CK_MECHANISM_TYPE mechanisms[64];
    CK_ULONG count = 64;
    OK(p11->C_GetSlotInfo(slot, &info));
    OK(p11->C_GetTokenInfo(slot, &token));
    OK(p11->C_GetSessionInfo(session, &state));
    OK(p11->C_GetMechanismList(slot, mechanisms, &count));
    for (CK_ULONG i = 0; i < count; i++) OK(p11->C_GetMechanismInfo(slot, mechanisms[i], &can));
    OK(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
    CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY);
    read_attributes(session, key);
    read_attributes(session, find(session, CKO_PUBLIC_KEY));
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM hashing = {slot == 0 ? CKM_ECDSA_SHA256 : CKM_SHA256_RSA_PKCS_PSS, slot == 0 ? NULL : &pss, slot == 0 ? 0 : sizeof pss};
    sign_in_parts(session, key, &hashing);
    OK(sign_in(session, key, MECHANISM[slot]));
    CHECK(sign_in(session, key, CKM_AES_CBC) == CKR_MECHANISM_INVALID);
    CHECK(sign_in(session, key + 1000, MECHANISM[slot]) != CKR_OK);
    CK_MECHANISM digest = {CKM_SHA384, NULL, 0};
    CK_BYTE hash[48], random[100];
    CK_ULONG length = sizeof hash;
    OK(p11->C_DigestInit(session, &digest));
    OK(p11->C_Digest(session, random, 0, hash, &length));
    OK(p11->C_GenerateRandom(session, random, sizeof random));
    OK(p11->C_Logout(session));
    /* C_Finalize must release the session, with a signature and a search that have begun. */
    OK(p11->C_SignInit(session, &hashing, key));
    OK(p11->C_SignUpdate(session, random, sizeof random));
    OK(p11->C_FindObjectsInit(session, NULL, 0));
}

/* A forked child signs, then its parent. The child ends with exec, because valgrind would report the memory that it has inherited
   as leaks. */
static void fork_and_sign(void) {
    int status = 0;
    unsigned long before = MEMORY_ERRORS;
    pid_t child = fork();
    if (child == 0) {
        sign_both();
        OK(p11->C_Finalize(NULL));
        execl("/bin/sh", "sh", "-c", MEMORY_ERRORS == before ? "exit 0" : "exit 98", NULL);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    sign_both();
}

static void everything(const char *path) {
    for (int life = 0; life < 2; life++) {
        pthread_t threads[4];
        load(path);
        for (CK_SLOT_ID slot = 0; slot < 2; slot++) use_slot(slot);
        CK_SESSION_HANDLE denied = open_session(2);
        CHECK(sign_in(denied, find(denied, CKO_PRIVATE_KEY), CKM_ECDSA) == CKR_FUNCTION_REJECTED);
        CK_ULONG count = 0;
        CK_SESSION_HANDLE missing = open_session(3);
        CK_OBJECT_HANDLE none;
        CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
        CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof class};
        OK(p11->C_FindObjectsInit(missing, &template, 1));
        OK(p11->C_FindObjects(missing, &none, 1, &count));
        CHECK(count == 0);
        for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, sign_some, NULL) == 0);
        for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        fork_and_sign();
        unload();
    }
}

enum { OWN = 60 };
static int own[OWN], peers[OWN];
static struct stat before[OWN];

/* Opens descriptors of each type that the module also has: sockets, files, and epoll instances. */
static void open_own(void) {
    for (int i = 0; i < OWN; i++) {
        char name[] = "/tmp/host-XXXXXX";
        int pair[2];
        peers[i] = -1;
        if (i % 3 == 0) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
            own[i] = pair[0];
            /* The peers have high numbers, so that the tested descriptors get the numbers that the module had, from 3 on. */
            CHECK((peers[i] = fcntl(pair[1], F_DUPFD, 200)) >= 200 && close(pair[1]) == 0);
        } else if (i % 3 == 1) {
            CHECK((own[i] = mkstemp(name)) >= 0 && unlink(name) == 0);
        } else {
            struct epoll_event event = {EPOLLIN | EPOLLOUT, {.u64 = 0x4141414141414141}};
            CHECK((own[i] = epoll_create1(0)) >= 0);
            CHECK(epoll_ctl(own[i], EPOLL_CTL_ADD, own[i - 2], &event) == 0);
        }
        CHECK(fstat(own[i], &before[i]) == 0);
    }
}

/* The descriptors must be open and unchanged, without data written to them or events taken from them. */
static void check_own(void) {
    for (int i = 0; i < OWN; i++) {
        struct stat now;
        struct epoll_event event;
        char byte;
        CHECK(fstat(own[i], &now) == 0 && now.st_ino == before[i].st_ino && now.st_dev == before[i].st_dev);
        if (i % 3 == 0) CHECK(read(peers[i], &byte, 1) == -1);
        if (i % 3 == 1) CHECK(now.st_size == 0);
        if (i % 3 == 2) CHECK(epoll_wait(own[i], &event, 1, 0) == 1 && event.data.u64 == 0x4141414141414141);
    }
}

static int failed(CK_SLOT_ID slot) {
    CK_SESSION_HANDLE session = open_session(slot);
    CK_RV rv = sign_in(session, find(session, CKO_PRIVATE_KEY), MECHANISM[slot]);
    CHECK(rv == CKR_OK || rv == CKR_FUNCTION_CANCELED || rv == CKR_DEVICE_ERROR);
    return rv != CKR_OK;
}

/* Closes all descriptors several times during the life of the module, as daemons do when they start. */
static void close_all(const char *path, int from) {
    int threads = count_of("/proc/self/task");
    load(path);
    for (int round = 0; round < 3; round++) {
        sign_both();
        for (int number = from; number < 1024; number++) close(number);
        if (round > 0) open_own();
        CHECK(failed(0) + failed(1) <= 1);
        for (int i = 0; i < 3; i++) sign_both();
        if (round == 0) continue;
        /* The threads that used the closed descriptors end by themselves. */
        for (int i = 0; i < 10000 && count_of("/proc/self/task") > threads + 2; i++) usleep(1000);
        CHECK(count_of("/proc/self/task") <= threads + 2);
        check_own();
    }
    for (int number = from; number < 1024; number++) close(number);
    open_own();
    OK(p11->C_Finalize(NULL));
    for (int i = 0; i < 1000 && count_of("/proc/self/task") > threads; i++) usleep(1000);
    CHECK(count_of("/proc/self/task") == threads);
    check_own();
    OK(p11->C_Initialize(NULL));
    sign_both();
    unload();
    check_own();
}

static void *sign_first(void *rv) {
    CK_SESSION_HANDLE session = open_session(0);
    *(CK_RV *)rv = sign_in(session, find(session, CKO_PRIVATE_KEY), MECHANISM[0]);
    return NULL;
}

static void close_amid(const char *path) {
    pthread_t thread;
    CK_RV rv = CKR_OK;
    load(path);
    sign_both();
    CHECK(getchar() == '\n');
    CHECK(pthread_create(&thread, NULL, sign_first, &rv) == 0);
    CHECK(getchar() == '\n');
    for (int number = 3; number < 1024; number++) close(number);
    open_own();
    CHECK(pthread_join(thread, NULL) == 0 && rv == CKR_FUNCTION_CANCELED);
    sign_both();
    unload();
    check_own();
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    if (strcmp(argv[2], "everything") == 0) {
        everything(argv[1]);
    } else if (strcmp(argv[2], "cycles") == 0) {
        cycles(argv[1], atoi(argv[3]));
    } else if (strcmp(argv[2], "close-all") == 0) {
        close_all(argv[1], atoi(argv[3]));
    } else if (strcmp(argv[2], "close-amid") == 0) {
        close_amid(argv[1]);
    } else {
        load(argv[1]);
        return end_by(argv[3]);
    }
    return 0;
}
