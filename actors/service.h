/*
 * Service: the methods this process knows, by their 16-bit index.
 *
 * A service is registered once, on first use, under a lock; its methods get
 * consecutive indices in name order. The table only grows. An index in a
 * message is therefore good for the life of the process.
 *
 * Always: index 0 is never a method.
 */
#ifndef GV_SERVICE_H
#define GV_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/method.h>

#include "runtime/hint.h"

#define GV_METHODS_MAX 65000u

struct gv_method_entry {
    const struct grove_method *method;
    const struct grove_service *service;
    bool fits_inline;  /* see inline.h */
    bool drops_oldest; /* see mail.c */
};

extern struct gv_method_entry gv_methods[GV_METHODS_MAX + 1];

/* Index of methods[0] of a service, which is registered if it was not. 0 if it cannot be. */
uint32_t gv_service_first_index(const struct grove_service *service);

/* Index of methods[method] of a service; registers it on first use. Returns 0 if it cannot be registered. */
static inline uint16_t gv_method_index(const struct grove_service *service, uint32_t method)
{
    /* acquire: pairs with the release of registration, so that the table is filled. */
    uint32_t first = __atomic_load_n(service->index, __ATOMIC_ACQUIRE);

    if (gv_unlikely(first == 0))
        first = gv_service_first_index(service);
    return first != 0 ? (uint16_t)(first + method) : 0;
}

/* Notes that the service has no methods[method]. Returns GROVE_EUSAGE. */
GV_RARE int gv_service_lacks(const struct grove_service *service, uint32_t method);

/* The method with this index, NULL if there is none. */
const struct grove_method *gv_method(uint16_t index);

/* Index of the method with this full name, 0 if unknown. For handshakes. */
uint16_t gv_method_named(const char *name);

/* How many indices are in use; they are 1 … n. */
uint32_t gv_method_count(void);

#endif
