/*
 * The engine: one SSL of OpenSSL a connection, whose bytes go through nng's
 * two functions for them. See host_tls.h.
 */
#include "runtime/host_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/engine.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_openssl.h"
#include "runtime/host_tls_file.h"
#include "runtime/log.h"

#define HOST_BYTES     256u
#define LINES_A_SECOND 10u
#define NS_A_SECOND    1000000000u

struct nng_tls_engine_config {
    SSL_CTX *context;
    bool server;
    char host[HOST_BYTES]; /* of a client: whom the peer's certificate must name */
};

struct nng_tls_engine_conn {
    SSL *ssl;
    void *nng;
    bool server;
    bool refused;                    /* and the log knows why */
    char name[GV_TLS_NAME_BYTES];    /* the peer's, once the handshake is over */
    size_t n_told;                   /* bytes of it that the connection has yielded */
    char subject[GV_TLS_NAME_BYTES]; /* whose certificate was not good */
};

/* --- why a peer was refused ------------------------------------------------------------------- */

/* True if a line may be written in this second. Any thread. */
static bool may_write(void)
{
    static _Atomic uint64_t second;
    static _Atomic unsigned n_lines;
    uint64_t now = gv_env_host()->now_ns(gv_env_host()->world) / NS_A_SECOND;

    /* Two threads at the turn of a second may write a line too many. */
    if (atomic_exchange(&second, now) != now)
        atomic_store(&n_lines, 0);
    return atomic_fetch_add(&n_lines, 1) < LINES_A_SECOND;
}

static const char *reason(const struct nng_tls_engine_conn *conn)
{
    unsigned long code = ERR_peek_error();
    long verdict = SSL_get_verify_result(conn->ssl);
    const char *text;

    if (verdict != X509_V_OK)
        return X509_verify_cert_error_string(verdict);
    text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : "the connection ended before it was agreed upon";
}

static void refuse(struct nng_tls_engine_conn *conn, const char *why)
{
    if (conn->refused)
        return;
    conn->refused = true;
    if (!may_write())
        return;
    gv_log(GV_LOG_WARN, "tls.refused", "peer=\"%s%s%s\" why=\"%.200s\"",
           conn->server ? "who dialled" : "who was dialled",
           conn->subject[0] != '\0' ? ", with a certificate of " : "", conn->subject, why);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int bio_write(BIO *bio, const char *bytes, size_t n_bytes, size_t *n_written)
{
    int rv = nng_tls_engine_send(BIO_get_data(bio), (const uint8_t *)bytes, &n_bytes);

    BIO_clear_retry_flags(bio);
    *n_written = n_bytes;
    if (rv == NNG_EAGAIN)
        BIO_set_retry_write(bio);
    return rv == 0;
}

static int bio_read(BIO *bio, char *bytes, size_t n_bytes, size_t *n_read)
{
    int rv = nng_tls_engine_recv(BIO_get_data(bio), (uint8_t *)bytes, &n_bytes);

    BIO_clear_retry_flags(bio);
    *n_read = n_bytes;
    if (rv == NNG_EAGAIN)
        BIO_set_retry_read(bio);
    return rv == 0;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nng sends as soon as it can. */
}

static BIO_METHOD *bio_method;

static BIO *new_bio(void *nng)
{
    BIO *bio = bio_method != NULL ? BIO_new(bio_method) : NULL;

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, nng);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- names ------------------------------------------------------------------------------------ */

/* A name that can be compared and logged: printable, and not too long. */
static bool take_name(const ASN1_STRING *string, char name[GV_TLS_NAME_BYTES])
{
    const unsigned char *bytes = string != NULL ? ASN1_STRING_get0_data(string) : NULL;
    int n = string != NULL ? ASN1_STRING_length(string) : 0;

    if (n <= 0 || (size_t)n >= GV_TLS_NAME_BYTES)
        return false;
    for (int i = 0; i < n; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    memset(name, 0, GV_TLS_NAME_BYTES);
    memcpy(name, bytes, (size_t)n);
    return true;
}

static bool take_common_name(const X509 *certificate, char name[GV_TLS_NAME_BYTES])
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    return at >= 0 && take_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), name);
}

/* The first DNS name of a certificate, else its common name. */
static bool name_of(const X509 *certificate, char name[GV_TLS_NAME_BYTES])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);

        found = one->type == GEN_DNS && take_name(one->d.dNSName, name);
    }
    GENERAL_NAMES_free(names);
    return found || take_common_name(certificate, name);
}

/* Called for each certificate of the peer's chain: whose is it that is not good? */
static int look_at(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct nng_tls_engine_conn *conn = SSL_get_app_data(ssl);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    if (!good && certificate != NULL && !name_of(certificate, conn->subject))
        conn->subject[0] = '\0';
    return good;
}

/* --- connections ------------------------------------------------------------------------------ */

static int conn_init(nng_tls_engine_conn *conn, void *nng, nng_tls_engine_config *config)
{
    struct in6_addr number;
    BIO *bio;

    conn->nng = nng;
    conn->server = config->server;
    conn->ssl = SSL_new(config->context);
    bio = new_bio(nng);
    if (conn->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return NNG_ENOMEM;
    }
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_app_data(conn->ssl, conn);
    if (config->server) {
        SSL_set_accept_state(conn->ssl);
        return 0;
    }
    SSL_set_connect_state(conn->ssl);
    if (inet_pton(AF_INET, config->host, &number) == 1
        || inet_pton(AF_INET6, config->host, &number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(conn->ssl), config->host) == 1
                   ? 0
                   : NNG_EINVAL;
    return SSL_set_tlsext_host_name(conn->ssl, config->host) == 1
                   && SSL_set1_host(conn->ssl, config->host) == 1
               ? 0
               : NNG_EINVAL;
}

static void conn_fini(nng_tls_engine_conn *conn)
{
    SSL_free(conn->ssl); /* NULL if it never began. */
}

static void conn_close(nng_tls_engine_conn *conn)
{
    ERR_clear_error();
    if (SSL_is_init_finished(conn->ssl))
        (void)SSL_shutdown(conn->ssl); /* A farewell; nobody waits for the answer. */
}

/* What came of a call with this result. */
static int error_of(const struct nng_tls_engine_conn *conn, int result)
{
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return NNG_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return NNG_ECONNSHUT;
    case SSL_ERROR_SYSCALL:
        return NNG_ECLOSED;
    default:
        return NNG_ECRYPTO;
    }
}

static int conn_handshake(nng_tls_engine_conn *conn)
{
    const X509 *certificate;
    int result, rv;

    if (conn->refused)
        return NNG_EPEERAUTH;
    if (conn->name[0] != '\0')
        return 0;
    ERR_clear_error();
    result = SSL_do_handshake(conn->ssl);
    if (result != 1) {
        rv = error_of(conn, result);
        if (rv == NNG_EAGAIN)
            return rv;
        refuse(conn, reason(conn));
        return NNG_EPEERAUTH;
    }
    certificate = SSL_get0_peer_certificate(conn->ssl);
    if (certificate != NULL && SSL_get_verify_result(conn->ssl) == X509_V_OK
        && name_of(certificate, conn->name))
        return 0;
    conn->name[0] = '\0';
    refuse(conn, "its certificate has no name of 1 to 63 printable bytes");
    return NNG_EPEERAUTH;
}

static int conn_recv(nng_tls_engine_conn *conn, uint8_t *bytes, size_t *n_bytes)
{
    size_t left;
    int rv = conn_handshake(conn), result;

    if (rv != 0)
        return rv;
    left = GV_TLS_NAME_BYTES - conn->n_told;
    if (left > 0) {
        *n_bytes = *n_bytes < left ? *n_bytes : left;
        memcpy(bytes, conn->name + conn->n_told, *n_bytes);
        conn->n_told += *n_bytes;
        return 0;
    }
    ERR_clear_error();
    result = SSL_read_ex(conn->ssl, bytes, *n_bytes, n_bytes);
    return result == 1 ? 0 : error_of(conn, result);
}

static int conn_send(nng_tls_engine_conn *conn, const uint8_t *bytes, size_t *n_bytes)
{
    int rv = conn_handshake(conn), result;

    if (rv != 0)
        return rv;
    ERR_clear_error();
    result = SSL_write_ex(conn->ssl, bytes, *n_bytes, n_bytes);
    return result == 1 ? 0 : error_of(conn, result);
}

static bool conn_verified(nng_tls_engine_conn *conn)
{
    return conn->name[0] != '\0';
}

/* --- what they share -------------------------------------------------------------------------- */

static int config_init(nng_tls_engine_config *config, nng_tls_mode mode)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    if (context == NULL)
        return NNG_ENOMEM;
    config->context = context;
    config->server = mode == NNG_TLS_MODE_SERVER;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, look_at);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                                  | SSL_MODE_RELEASE_BUFFERS);
    /* A session is one connection: a ticket would let a peer in whose certificate is not good any more. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set_num_tickets(context, 0) == 1)
        return 0;
    SSL_CTX_free(context);
    return NNG_ENOTSUP;
}

static void config_fini(nng_tls_engine_config *config)
{
    SSL_CTX_free(config->context);
}

static int config_server(nng_tls_engine_config *config, const char *host)
{
    if (strlen(host) >= sizeof config->host)
        return NNG_EINVAL;
    memcpy(config->host, host, strlen(host) + 1);
    return 0;
}

/* nng asks for less where it knows no better; each end is always looked at. */
static int config_auth(nng_tls_engine_config *config, nng_tls_auth_mode mode)
{
    (void)config;
    (void)mode;
    return 0;
}

static int config_ca_chain(nng_tls_engine_config *config, const char *certificates, const char *crl)
{
    return crl == NULL && gv_host_tls_trust(config->context, certificates) ? 0 : NNG_ECRYPTO;
}

static int config_own_cert(nng_tls_engine_config *config, const char *certificate, const char *key,
                           const char *password)
{
    return password == NULL && gv_host_tls_show(config->context, certificate, key) ? 0
                                                                                   : NNG_ECRYPTO;
}

static int config_version(nng_tls_engine_config *config, nng_tls_version least,
                          nng_tls_version most)
{
    (void)config;
    (void)least;
    return most >= NNG_TLS_1_3 ? 0 : NNG_ENOTSUP;
}

static nng_tls_engine_config_ops config_ops = {
    .size = sizeof(nng_tls_engine_config),
    .init = config_init,
    .fini = config_fini,
    .server = config_server,
    .auth = config_auth,
    .ca_chain = config_ca_chain,
    .own_cert = config_own_cert,
    .version = config_version,
};

static nng_tls_engine_conn_ops conn_ops = {
    .size = sizeof(nng_tls_engine_conn),
    .init = conn_init,
    .fini = conn_fini,
    .close = conn_close,
    .handshake = conn_handshake,
    .recv = conn_recv,
    .send = conn_send,
    .verified = conn_verified,
};

static const nng_tls_engine engine = {
    .version = NNG_TLS_ENGINE_VERSION,
    .config_ops = &config_ops,
    .conn_ops = &conn_ops,
    .name = "grove",
    .description = "OpenSSL, TLS 1.3, with names of peers",
};

static int started; /* 0, or why TLS cannot be had */

static void start(void)
{
    char why[160];

    if (!gv_host_openssl_load(why, sizeof why)) {
        gv_log(GV_LOG_ERROR, "tls.missing",
               "what=\"tls+tcp needs OpenSSL: %.160s\" advice=\"install it: apt-get install "
               "libssl3\"",
               why);
        started = -EOPNOTSUPP;
        return;
    }
    gv_host_nng_start(); /* It would put an engine of its own in place of ours. */
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "grove");
    if (bio_method == NULL)
        return; /* Connections will have no memory either. */
    gv_assert(BIO_meth_set_write_ex(bio_method, bio_write) == 1);
    gv_assert(BIO_meth_set_read_ex(bio_method, bio_read) == 1);
    gv_assert(BIO_meth_set_ctrl(bio_method, bio_control) == 1);
    gv_assert(nng_tls_engine_register(&engine) == 0);
}

int gv_host_tls_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    gv_assert(pthread_once(&once, start) == 0);
    return started;
}
