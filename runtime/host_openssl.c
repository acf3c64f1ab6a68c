/*
 * The functions of OpenSSL by their names. See host_openssl.h.
 */
#include "runtime/host_openssl.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

struct gv_openssl gv_openssl;

/* Of the same major version as its headers: what we know is how that one is called. It brings libcrypto along. */
const char *gv_host_openssl_library = "libssl.so." TEXT(OPENSSL_VERSION_MAJOR);

static const char *const names[] = {
#define NAME(function) #function,
    GV_OPENSSL_FUNCTIONS(NAME)
#undef NAME
};

static_assert(sizeof names == sizeof gv_openssl, "a name for each pointer");

bool gv_host_openssl_load(char *why, size_t room)
{
    void *library = dlopen(gv_host_openssl_library, RTLD_NOW | RTLD_LOCAL);
    void **pointers = (void **)(void *)&gv_openssl;

    for (size_t i = 0; library != NULL && i < sizeof names / sizeof names[0]; i++) {
        pointers[i] = dlsym(library, names[i]);
        if (pointers[i] == NULL)
            library = NULL; /* Half of it is no use. */
    }
    if (library == NULL)
        (void)snprintf(why, room, "%s", dlerror()); /* A cut text is still a text. */
    return library != NULL;
}
