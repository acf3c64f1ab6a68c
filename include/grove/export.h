/*
 * What the shared library shows to its users; everything else is hidden.
 */
#ifndef GROVE_EXPORT_H
#define GROVE_EXPORT_H

#define GROVE_API __attribute__((visibility("default")))

#endif
