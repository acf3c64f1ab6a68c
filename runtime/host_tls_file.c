/*
 * What the options tls_cert, tls_key and tls_ca name, read and looked at, so
 * that what is wrong is said with the name of the file. See host_tls.h.
 */
#include "runtime/host_tls_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "runtime/assert.h"
#include "runtime/env.h"
#include "runtime/host.h"
#include "runtime/host_openssl.h"
#include "runtime/host_tls.h"
#include "runtime/log.h"
#include "runtime/options.h"

#define FILE_BYTES_MAX 1048576u

/* What was wrong with the last file that this thread looked at. */
static _Thread_local char why[160];

static bool blame(const char *what)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    (void)snprintf(why, sizeof why, "%s%s%s", what, reason != NULL ? ": " : "",
                   reason != NULL ? reason : ""); /* A cut text is still a text. */
    ERR_clear_error();
    return false;
}

/* --- PEM -------------------------------------------------------------------------------------- */

/* The next certificate of a text, or NULL at its end. */
static X509 *next_certificate(BIO *text)
{
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);

    if (certificate == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return certificate;
}

/* Hands each certificate of a text to use, which takes a hold of its own. Returns how many; -1: an error. */
static int each_certificate(const char *text,
                            int (*use)(SSL_CTX *context, X509 *certificate, int i),
                            SSL_CTX *context)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate;
    int n = 0;

    ERR_clear_error();
    while (bio != NULL && (certificate = next_certificate(bio)) != NULL) {
        int used = use(context, certificate, n++);

        X509_free(certificate);
        if (used != 1)
            break;
    }
    BIO_free(bio);
    return bio == NULL || ERR_peek_error() != 0 ? -1 : n;
}

static int trust_one(SSL_CTX *context, X509 *certificate, int i)
{
    (void)i;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
}

static int show_one(SSL_CTX *context, X509 *certificate, int i)
{
    return i == 0 ? SSL_CTX_use_certificate(context, certificate)
                  : (int)SSL_CTX_add1_chain_cert(context, certificate);
}

bool gv_host_tls_trust(SSL_CTX *context, const char *certificates)
{
    int n = each_certificate(certificates, trust_one, context);

    return n > 0 || blame(n == 0 ? "no certificate is in it" : "it cannot be read");
}

/* Keys that are encrypted are not asked about: nobody may be there to answer. */
static int no_password(char *buffer, int n_bytes, int writing, void *owner)
{
    (void)buffer;
    (void)n_bytes;
    (void)writing;
    (void)owner;
    return -1;
}

static bool show_key(SSL_CTX *context, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    bool shown;

    BIO_free(bio);
    if (key == NULL)
        return blame("no key without a password is in it");
    shown = SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    return shown || blame("it is not the key of the certificate");
}

bool gv_host_tls_show(SSL_CTX *context, const char *chain, const char *key)
{
    int n;

    if (chain == NULL)
        return show_key(context, key);
    n = each_certificate(chain, show_one, context);
    return n > 0 || blame(n == 0 ? "no certificate is in it" : "it cannot be read");
}

/* --- files ------------------------------------------------------------------------------------ */

static int complain(int error, enum gv_option option, const char *path, const char *what)
{
    static const char *const names[] = {"GROVE_TLS_CERT", "GROVE_TLS_KEY", "GROVE_TLS_CA"};

    gv_log(GV_LOG_ERROR, "tls.file", "what=\"%s%s%.200s: %.160s\"",
           names[option - GV_OPTION_TLS_CERT], path[0] != '\0' ? "=" : "", path, what);
    return error;
}

/* The text of the file, to be freed, or NULL. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(FILE_BYTES_MAX + 1) : NULL;
    size_t n = 0;

    if (text != NULL)
        n = fread(text, 1, FILE_BYTES_MAX, file);
    if (text != NULL && ferror(file)) {
        free(text);
        text = NULL;
    }
    if (text != NULL)
        text[n] = '\0';
    if (file != NULL)
        (void)fclose(file); /* It was only read. */
    return text;
}

/* Reads the file of one option into the config. */
static int read_one(nng_tls_config *config, enum gv_option option, const char *path)
{
    char *text;
    int rv;

    if (path == NULL)
        path = gv_option_text(option);
    if (path[0] == '\0')
        return complain(-EINVAL, option, path,
                        "tls+tcp needs a file here; grove certs DIR makes some to try it with");
    text = read_text(path);
    if (text == NULL)
        return complain(-errno, option, path, strerror(errno));
    why[0] = '\0';
    if (option == GV_OPTION_TLS_CA)
        rv = nng_tls_config_ca_chain(config, text, NULL);
    else
        rv = nng_tls_config_own_cert(config, option == GV_OPTION_TLS_CERT ? text : NULL,
                                     option == GV_OPTION_TLS_KEY ? text : NULL, NULL);
    OPENSSL_cleanse(text, strlen(text)); /* It may have been a key. */
    free(text);
    if (rv != 0)
        return complain(-EINVAL, option, path, why[0] != '\0' ? why : nng_strerror(rv));
    return 0;
}

int gv_host_tls_config(const char *host, const struct gv_tls_files *files, nng_tls_config **made)
{
    static const struct gv_tls_files as_options;
    static const enum gv_option options[] = {GV_OPTION_TLS_CERT, GV_OPTION_TLS_KEY,
                                             GV_OPTION_TLS_CA};
    const char *name = gv_option_text(GV_OPTION_TLS_NAME);
    const char *paths[3];
    nng_tls_config *config;
    int rc;

    if (files == NULL)
        files = &as_options;
    paths[0] = files->cert;
    paths[1] = files->key;
    paths[2] = files->ca;
    rc = gv_host_tls_start();
    if (rc != 0)
        return rc;
    rc = gv_host_nng_error(
        nng_tls_config_alloc(&config, host == NULL ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT));
    if (rc != 0)
        return rc;
    if (host != NULL)
        rc = gv_host_nng_error(nng_tls_config_server_name(config, name[0] != '\0' ? name : host));
    for (size_t i = 0; rc == 0 && i < sizeof options / sizeof options[0]; i++)
        rc = read_one(config, options[i], paths[i]);
    if (rc != 0) {
        nng_tls_config_free(config);
        return rc;
    }
    *made = config;
    return 0;
}
