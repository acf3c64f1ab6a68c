#include "certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define PATH_BYTES 512u
#define ALT_BYTES  2048u
#define DAY_S      86400L

/* A certificate and its key. */
struct pair {
    X509 *certificate;
    EVP_PKEY *key;
};

static int complain(const char *what, const char *why)
{
    unsigned long code = ERR_get_error();

    if (why == NULL)
        why = code != 0 ? ERR_reason_error_string(code) : "no memory";
    (void)fprintf(stderr, "grove certs: %s: %s\n", what, why != NULL ? why : "it failed");
    return 1;
}

/* --- files ------------------------------------------------------------------------------------ */

/* A new file that only its owner may read; NULL and a complaint if it is there or cannot be made. */
static FILE *open_new(const char *directory, const char *name, const char *ending)
{
    char path[PATH_BYTES];
    FILE *file = NULL;
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/%s%s", directory, name, ending) >= sizeof path) {
        (void)complain(directory, "the path is too long");
        return NULL;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        file = fdopen(fd, "w");
    if (file == NULL)
        (void)complain(path, errno == EEXIST
                                 ? "is there already; name another folder, or remove this one"
                                 : strerror(errno));
    return file;
}

static int close_written(FILE *file, bool written, const char *name)
{
    bool closed = fclose(file) == 0;

    return written && closed ? 0 : complain(name, strerror(errno));
}

static int write_pair(const char *directory, const char *name, const struct pair *pair)
{
    FILE *file = open_new(directory, name, ".pem");
    bool written;

    if (file == NULL)
        return 1;
    written = PEM_write_X509(file, pair->certificate) == 1;
    if (close_written(file, written, name) != 0 || pair->key == NULL)
        return !written;
    file = open_new(directory, name, ".key");
    if (file == NULL)
        return 1;
    written = PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL) == 1;
    return close_written(file, written, name);
}

/* --- certificates ----------------------------------------------------------------------------- */

static bool add_extension(X509 *certificate, const X509 *issuer, int which, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, which, value);
    added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    BIGNUM *number = NULL;
    bool set;

    if (RAND_bytes(bytes, sizeof bytes) == 1)
        number = BN_bin2bn(bytes, sizeof bytes, NULL);
    set = number != NULL && BN_clear_bit(number, 127) == 1
          && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool set_name_and_time(X509 *certificate, const char *name, int days)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    long until_s = days > 0 ? days * DAY_S : 0;

    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0)
               == 1
           && X509_gmtime_adj(X509_getm_notBefore(certificate), (days > 0 ? -1 : days - 1) * DAY_S)
                  != NULL
           && X509_gmtime_adj(X509_getm_notAfter(certificate), days > 0 ? until_s : days * DAY_S)
                  != NULL;
}

/* A certificate with a key of its own, signed by nobody yet. */
static bool begin_pair(struct pair *pair, const char *name, int days)
{
    *pair = (struct pair){X509_new(), EVP_EC_gen("P-256")};
    return pair->certificate != NULL && pair->key != NULL
           && X509_set_version(pair->certificate, X509_VERSION_3) == 1
           && set_serial(pair->certificate) && set_name_and_time(pair->certificate, name, days)
           && X509_set_pubkey(pair->certificate, pair->key) == 1;
}

static void end_pair(struct pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
}

static bool sign(X509 *certificate, const struct pair *by)
{
    return X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate)) == 1
           && X509_sign(certificate, by->key, EVP_sha256()) != 0;
}

static bool make_authority(struct pair *authority, int days)
{
    X509 *certificate;

    if (!begin_pair(authority, "grove development authority", days))
        return false;
    certificate = authority->certificate;
    return add_extension(certificate, certificate, NID_basic_constraints,
                         "critical,CA:TRUE,pathlen:0")
           && add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign")
           && add_extension(certificate, certificate, NID_subject_key_identifier, "hash")
           && sign(certificate, authority);
}

static bool is_number(const char *host)
{
    struct in6_addr number;

    return inet_pton(AF_INET, host, &number) == 1 || inet_pton(AF_INET6, host, &number) == 1;
}

/* "DNS:name,IP:127.0.0.1,…" */
static bool write_hosts(const struct certs *certs, const char *name, char text[ALT_BYTES])
{
    size_t used = (size_t)snprintf(text, ALT_BYTES, "DNS:%s", name);

    for (unsigned i = 0; i < certs->n_hosts && used < ALT_BYTES; i++)
        used += (size_t)snprintf(text + used, ALT_BYTES - used, ",%s:%s",
                                 is_number(certs->hosts[i]) ? "IP" : "DNS", certs->hosts[i]);
    return used < ALT_BYTES;
}

static bool make_one(const struct certs *certs, const char *name, const struct pair *authority,
                     struct pair *pair)
{
    const X509 *issuer = authority->certificate;
    char hosts[ALT_BYTES];

    return begin_pair(pair, name, certs->days) && write_hosts(certs, name, hosts)
           && add_extension(pair->certificate, issuer, NID_basic_constraints, "critical,CA:FALSE")
           && add_extension(pair->certificate, issuer, NID_key_usage, "critical,digitalSignature")
           && add_extension(pair->certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth")
           && add_extension(pair->certificate, issuer, NID_subject_alt_name, hosts)
           && add_extension(pair->certificate, issuer, NID_authority_key_identifier, "keyid")
           && sign(pair->certificate, authority);
}

static int make_all(const struct certs *certs, const struct pair *authority)
{
    const struct pair shown = {authority->certificate, NULL};
    int rc = write_pair(certs->directory, "ca", &shown);

    for (unsigned i = 0; rc == 0 && i < certs->n_names; i++) {
        struct pair pair;

        if (make_one(certs, certs->names[i], authority, &pair))
            rc = write_pair(certs->directory, certs->names[i], &pair);
        else
            rc = complain(certs->names[i], NULL);
        end_pair(&pair);
    }
    return rc;
}

int make_certs(const struct certs *certs)
{
    struct pair authority;
    int rc;

    if (mkdir(certs->directory, 0700) != 0 && errno != EEXIST)
        return complain(certs->directory, strerror(errno));
    /* It outlives all that it certifies: what has expired is to be theirs. */
    if (make_authority(&authority, certs->days > 0 ? certs->days : 1))
        rc = make_all(certs, &authority);
    else
        rc = complain("the authority", NULL);
    end_pair(&authority);
    return rc;
}

/* --- the command ------------------------------------------------------------------------------ */

static const char help[] =
    "usage: grove certs DIR [NAME ...] [--host HOST ...] [--days N]\n"
    "\n"
    "Makes ca.pem, and NAME.pem and NAME.key for each name, in the folder DIR, to\n"
    "try TLS with. Without names: server and worker.\n"
    "\n"
    "  --host HOST  all of them may also be reached at this name or number;\n"
    "               without: localhost, 127.0.0.1 and ::1\n"
    "  --days N     how long they are good (default 30)\n"
    "\n"
    "Who has a NAME.key is NAME to everybody who trusts ca.pem. The key of the\n"
    "authority is not kept, so there will be no further certificate of it: for\n"
    "production use an authority of your own. A program shows its certificate with\n"
    "  GROVE_TLS_CERT=DIR/server.pem GROVE_TLS_KEY=DIR/server.key GROVE_TLS_CA=DIR/ca.pem\n";

#define MANY 32u

struct words {
    const char *word[MANY];
    unsigned n;
};

static int complain_usage(const char *what, const char *about)
{
    (void)fprintf(stderr, "grove certs: %s%s; see grove certs --help\n", what, about);
    return 2;
}

/* A name becomes part of a file's name and of a list. */
static bool is_plain(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:");

    return n > 0 && n < 64 && name[n] == '\0' && name[0] != '.' && name[0] != '-';
}

static int add_word(struct words *words, const char *word)
{
    if (word == NULL || !is_plain(word))
        return complain_usage("a name has 1 to 63 letters, digits, dots and dashes, not ",
                              word != NULL ? word : "none");
    if (words->n == MANY)
        return complain_usage("too many names at ", word);
    words->word[words->n++] = word;
    return 0;
}

static int read_days(const char *text, int *days)
{
    int n = 0;

    if (text == NULL || sscanf(text, "%d%n", days, &n) != 1 || text[n] != '\0' || *days < 1
        || *days > 3650)
        return complain_usage("--days takes a number from 1 to 3650, not ",
                              text != NULL ? text : "nothing");
    return 0;
}

static int read_words(int argc, char **argv, struct certs *certs, struct words names[2])
{
    int rc = 0;

    for (int i = 0; i < argc && rc == 0; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--host") == 0) {
            rc = add_word(&names[1], next);
            i++;
        } else if (strcmp(argv[i], "--days") == 0) {
            rc = read_days(next, &certs->days);
            i++;
        } else if (argv[i][0] == '-') {
            rc = complain_usage("there is no flag ", argv[i]);
        } else if (certs->directory == NULL) {
            certs->directory = argv[i];
        } else {
            rc = add_word(&names[0], argv[i]);
        }
    }
    return rc;
}

int run_certs(int argc, char **argv)
{
    struct certs certs = {.days = 30};
    struct words words[2] = {{.n = 0}, {.n = 0}};
    int rc;

    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        (void)fputs(help, stdout); /* Nobody reads it if it cannot be written. */
        return 0;
    }
    rc = read_words(argc, argv, &certs, words);
    if (rc != 0)
        return rc;
    if (certs.directory == NULL)
        return complain_usage("say in which folder", "");
    if (words[0].n == 0)
        words[0] = (struct words){{"server", "worker"}, 2};
    if (words[1].n == 0)
        words[1] = (struct words){{"localhost", "127.0.0.1", "::1"}, 3};
    certs.names = words[0].word;
    certs.n_names = words[0].n;
    certs.hosts = words[1].word;
    certs.n_hosts = words[1].n;
    rc = make_certs(&certs);
    if (rc == 0)
        (void)printf("%s: ca.pem and %u certificates, good for %d days\n", certs.directory,
                     certs.n_names, certs.days);
    return rc;
}
