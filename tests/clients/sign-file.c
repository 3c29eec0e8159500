/* What the kernel's scripts/sign-file did before it turned to OpenSSL's providers: sign-file HASH KEY CERTIFICATE FILE OUT
   signs through the engine pkcs11 and writes the file, the CMS message and the kernel's trailer. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <openssl/cms.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void need(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "sign-file: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

int main(int argc, char **argv) {
    need(argc == 6, "HASH KEY CERTIFICATE FILE OUT");
    ENGINE_load_builtin_engines();
    ENGINE *engine = ENGINE_by_id("pkcs11");
    need(engine && ENGINE_init(engine), "engine");
    EVP_PKEY *key = ENGINE_load_private_key(engine, argv[2], NULL, NULL);
    need(key != NULL, "key");
    BIO *in = BIO_new_file(argv[3], "rb");
    X509 *certificate = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    need(certificate != NULL, "certificate");
    BIO_free(in);
    const EVP_MD *hash = EVP_get_digestbyname(argv[1]);
    need(hash != NULL, "hash");

    BIO *data = BIO_new_file(argv[4], "rb");
    need(data != NULL, "file");
    unsigned flags = CMS_NOCERTS | CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | CMS_STREAM;
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    need(cms && CMS_add1_signer(cms, certificate, key, hash, CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR) &&
             CMS_final(cms, data, NULL, CMS_NOCERTS | CMS_BINARY) == 1,
         "signing");

    BIO *out = BIO_new_file(argv[5], "wb");
    need(out && BIO_reset(data) == 0, "output");
    char buffer[4096];
    int got;
    while ((got = BIO_read(data, buffer, sizeof buffer)) > 0) need(BIO_write(out, buffer, got) == got, "copy");
    uint64_t before = BIO_number_written(out);
    need(i2d_CMS_bio_stream(out, cms, NULL, 0) == 1, "message");
    /* struct module_signature: type 2 is PKCS#7, the length at its end is big-endian. */
    unsigned char trailer[12] = {0, 0, 2};
    uint32_t length = htonl((uint32_t)(BIO_number_written(out) - before));
    for (int i = 0; i < 4; i++) trailer[8 + i] = ((unsigned char *)&length)[i];
    need(BIO_write(out, trailer, 12) == 12 && BIO_puts(out, "~Module signature appended~\n") == 28 && BIO_flush(out) == 1, "trailer");
    BIO_free(out);
    BIO_free(data);
    CMS_ContentInfo_free(cms);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ENGINE_finish(engine);
    ENGINE_free(engine);
    return 0;
}
