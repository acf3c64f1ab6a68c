/*
 * OpenSSL, loaded by the first stream over TLS: few programs have one, and
 * libssl with libcrypto would cost each of them 1.7 MiB and a millisecond of
 * its start. A file that includes this calls OpenSSL as usual; its functions
 * are pointers here.
 *
 * Always: nothing of OpenSSL is called before gv_host_openssl_load has
 * answered true once. A function that is not in the list does not link.
 */
#ifndef GV_HOST_OPENSSL_H
#define GV_HOST_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* clang-format 14 never comes to an end with a list like this. */
/* clang-format off */
#define GV_OPENSSL_FUNCTIONS(X) \
    X(ASN1_STRING_get0_data) \
    X(ASN1_STRING_length) \
    X(BIO_clear_flags) \
    X(BIO_free) \
    X(BIO_get_data) \
    X(BIO_get_new_index) \
    X(BIO_meth_new) \
    X(BIO_meth_set_ctrl) \
    X(BIO_meth_set_read_ex) \
    X(BIO_meth_set_write_ex) \
    X(BIO_new) \
    X(BIO_new_mem_buf) \
    X(BIO_set_data) \
    X(BIO_set_flags) \
    X(BIO_set_init) \
    X(ERR_clear_error) \
    X(ERR_peek_error) \
    X(ERR_peek_last_error) \
    X(ERR_reason_error_string) \
    X(EVP_PKEY_free) \
    X(GENERAL_NAMES_free) \
    X(OPENSSL_cleanse) \
    X(OPENSSL_sk_num) \
    X(OPENSSL_sk_value) \
    X(PEM_read_bio_PrivateKey) \
    X(PEM_read_bio_X509) \
    X(SSL_CTX_ctrl) \
    X(SSL_CTX_free) \
    X(SSL_CTX_get_cert_store) \
    X(SSL_CTX_new) \
    X(SSL_CTX_set_num_tickets) \
    X(SSL_CTX_set_verify) \
    X(SSL_CTX_use_PrivateKey) \
    X(SSL_CTX_use_certificate) \
    X(SSL_ctrl) \
    X(SSL_do_handshake) \
    X(SSL_free) \
    X(SSL_get0_param) \
    X(SSL_get0_peer_certificate) \
    X(SSL_get_error) \
    X(SSL_get_ex_data) \
    X(SSL_get_ex_data_X509_STORE_CTX_idx) \
    X(SSL_get_verify_result) \
    X(SSL_is_init_finished) \
    X(SSL_new) \
    X(SSL_read_ex) \
    X(SSL_set1_host) \
    X(SSL_set_accept_state) \
    X(SSL_set_bio) \
    X(SSL_set_connect_state) \
    X(SSL_set_ex_data) \
    X(SSL_shutdown) \
    X(SSL_write_ex) \
    X(TLS_method) \
    X(X509_NAME_ENTRY_get_data) \
    X(X509_NAME_get_entry) \
    X(X509_NAME_get_index_by_NID) \
    X(X509_STORE_CTX_get_current_cert) \
    X(X509_STORE_CTX_get_ex_data) \
    X(X509_STORE_add_cert) \
    X(X509_VERIFY_PARAM_set1_ip_asc) \
    X(X509_free) \
    X(X509_get_ext_d2i) \
    X(X509_get_subject_name) \
    X(X509_verify_cert_error_string)
/* clang-format on */

struct gv_openssl {
#define POINTER(function) __typeof__(&function) function;
    GV_OPENSSL_FUNCTIONS(POINTER)
#undef POINTER
};

extern struct gv_openssl gv_openssl;

/* What is loaded; a test names another. */
extern const char *gv_host_openssl_library;

/* Loads all of it. False: why says what is missing. One thread at a time. */
bool gv_host_openssl_load(char *why, size_t room);

#define ASN1_STRING_get0_data              gv_openssl.ASN1_STRING_get0_data
#define ASN1_STRING_length                 gv_openssl.ASN1_STRING_length
#define BIO_clear_flags                    gv_openssl.BIO_clear_flags
#define BIO_free                           gv_openssl.BIO_free
#define BIO_get_data                       gv_openssl.BIO_get_data
#define BIO_get_new_index                  gv_openssl.BIO_get_new_index
#define BIO_meth_new                       gv_openssl.BIO_meth_new
#define BIO_meth_set_ctrl                  gv_openssl.BIO_meth_set_ctrl
#define BIO_meth_set_read_ex               gv_openssl.BIO_meth_set_read_ex
#define BIO_meth_set_write_ex              gv_openssl.BIO_meth_set_write_ex
#define BIO_new                            gv_openssl.BIO_new
#define BIO_new_mem_buf                    gv_openssl.BIO_new_mem_buf
#define BIO_set_data                       gv_openssl.BIO_set_data
#define BIO_set_flags                      gv_openssl.BIO_set_flags
#define BIO_set_init                       gv_openssl.BIO_set_init
#define ERR_clear_error                    gv_openssl.ERR_clear_error
#define ERR_peek_error                     gv_openssl.ERR_peek_error
#define ERR_peek_last_error                gv_openssl.ERR_peek_last_error
#define ERR_reason_error_string            gv_openssl.ERR_reason_error_string
#define EVP_PKEY_free                      gv_openssl.EVP_PKEY_free
#define GENERAL_NAMES_free                 gv_openssl.GENERAL_NAMES_free
#define OPENSSL_cleanse                    gv_openssl.OPENSSL_cleanse
#define OPENSSL_sk_num                     gv_openssl.OPENSSL_sk_num
#define OPENSSL_sk_value                   gv_openssl.OPENSSL_sk_value
#define PEM_read_bio_PrivateKey            gv_openssl.PEM_read_bio_PrivateKey
#define PEM_read_bio_X509                  gv_openssl.PEM_read_bio_X509
#define SSL_CTX_ctrl                       gv_openssl.SSL_CTX_ctrl
#define SSL_CTX_free                       gv_openssl.SSL_CTX_free
#define SSL_CTX_get_cert_store             gv_openssl.SSL_CTX_get_cert_store
#define SSL_CTX_new                        gv_openssl.SSL_CTX_new
#define SSL_CTX_set_num_tickets            gv_openssl.SSL_CTX_set_num_tickets
#define SSL_CTX_set_verify                 gv_openssl.SSL_CTX_set_verify
#define SSL_CTX_use_PrivateKey             gv_openssl.SSL_CTX_use_PrivateKey
#define SSL_CTX_use_certificate            gv_openssl.SSL_CTX_use_certificate
#define SSL_ctrl                           gv_openssl.SSL_ctrl
#define SSL_do_handshake                   gv_openssl.SSL_do_handshake
#define SSL_free                           gv_openssl.SSL_free
#define SSL_get0_param                     gv_openssl.SSL_get0_param
#define SSL_get0_peer_certificate          gv_openssl.SSL_get0_peer_certificate
#define SSL_get_error                      gv_openssl.SSL_get_error
#define SSL_get_ex_data                    gv_openssl.SSL_get_ex_data
#define SSL_get_ex_data_X509_STORE_CTX_idx gv_openssl.SSL_get_ex_data_X509_STORE_CTX_idx
#define SSL_get_verify_result              gv_openssl.SSL_get_verify_result
#define SSL_is_init_finished               gv_openssl.SSL_is_init_finished
#define SSL_new                            gv_openssl.SSL_new
#define SSL_read_ex                        gv_openssl.SSL_read_ex
#define SSL_set1_host                      gv_openssl.SSL_set1_host
#define SSL_set_accept_state               gv_openssl.SSL_set_accept_state
#define SSL_set_bio                        gv_openssl.SSL_set_bio
#define SSL_set_connect_state              gv_openssl.SSL_set_connect_state
#define SSL_set_ex_data                    gv_openssl.SSL_set_ex_data
#define SSL_shutdown                       gv_openssl.SSL_shutdown
#define SSL_write_ex                       gv_openssl.SSL_write_ex
#define TLS_method                         gv_openssl.TLS_method
#define X509_NAME_ENTRY_get_data           gv_openssl.X509_NAME_ENTRY_get_data
#define X509_NAME_get_entry                gv_openssl.X509_NAME_get_entry
#define X509_NAME_get_index_by_NID         gv_openssl.X509_NAME_get_index_by_NID
#define X509_STORE_CTX_get_current_cert    gv_openssl.X509_STORE_CTX_get_current_cert
#define X509_STORE_CTX_get_ex_data         gv_openssl.X509_STORE_CTX_get_ex_data
#define X509_STORE_add_cert                gv_openssl.X509_STORE_add_cert
#define X509_VERIFY_PARAM_set1_ip_asc      gv_openssl.X509_VERIFY_PARAM_set1_ip_asc
#define X509_free                          gv_openssl.X509_free
#define X509_get_ext_d2i                   gv_openssl.X509_get_ext_d2i
#define X509_get_subject_name              gv_openssl.X509_get_subject_name
#define X509_verify_cert_error_string      gv_openssl.X509_verify_cert_error_string

#endif
