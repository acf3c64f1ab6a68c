/*
 * What generated copy functions are made of. Programs do not use this file
 * by hand; generated code does.
 *
 * A deep copy is a row of pieces, each rounded up to 8 bytes: the struct,
 * then what its pointers lead to. The first functions measure and answer
 * SIZE_MAX for what cannot be measured: a NULL array with a length, NULL
 * among the elements of one, a sum that does not fit. The put functions copy one piece to *tail,
 * move *tail behind it and return where the piece is. None suspends.
 */
#ifndef GROVE_SHAPE_H
#define GROVE_SHAPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

/* bytes rounded up to 8. */
static inline size_t grove_shape_room(size_t bytes)
{
    return bytes > SIZE_MAX - 7 ? SIZE_MAX : (bytes + 7) & ~(size_t)7;
}

/* The sum, SIZE_MAX if it does not fit. */
static inline size_t grove_shape_add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

/* The room of an array of n elements. */
static inline size_t grove_shape_array(const void *array, size_t n, size_t element_bytes)
{
    if (n > 0 && (array == NULL || n > SIZE_MAX / element_bytes))
        return SIZE_MAX;
    return grove_shape_room(n * element_bytes);
}

/* The room of a string; NULL and "" need none. */
static inline size_t grove_shape_text(const char *text)
{
    return text == NULL || text[0] == '\0' ? 0 : grove_shape_room(strlen(text) + 1);
}

/* The room of bytes. */
static inline size_t grove_shape_data(ProtobufCBinaryData data)
{
    return grove_shape_array(data.data, data.len, 1);
}

/* The room of n strings and their array. */
static inline size_t grove_shape_texts(char *const *texts, size_t n)
{
    size_t bytes = grove_shape_array(texts, n, sizeof texts[0]);

    for (size_t i = 0; bytes < SIZE_MAX && i < n; i++)
        bytes = texts[i] == NULL ? SIZE_MAX : grove_shape_add(bytes, grove_shape_text(texts[i]));
    return bytes;
}

/* The room of n times bytes and their array. */
static inline size_t grove_shape_datas(const ProtobufCBinaryData *datas, size_t n)
{
    size_t bytes = grove_shape_array(datas, n, sizeof datas[0]);

    for (size_t i = 0; bytes < SIZE_MAX && i < n; i++)
        bytes = grove_shape_add(bytes, grove_shape_data(datas[i]));
    return bytes;
}

/* Copies bytes; returns NULL for none. */
static inline void *grove_shape_put(char **tail, const void *from, size_t bytes)
{
    char *to = *tail;

    if (bytes == 0)
        return NULL;
    memcpy(to, from, bytes);
    *tail = to + grove_shape_room(bytes);
    return to;
}

/* Copies a string; NULL and "" become protobuf-c's own empty string. */
static inline char *grove_shape_put_text(char **tail, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return (char *)protobuf_c_empty_string;
    return (char *)grove_shape_put(tail, text, strlen(text) + 1);
}

/* Copies bytes with their length. */
static inline ProtobufCBinaryData grove_shape_put_data(char **tail, ProtobufCBinaryData data)
{
    ProtobufCBinaryData copy = {data.len, (uint8_t *)grove_shape_put(tail, data.data, data.len)};

    return copy;
}

/* Copies n strings behind their array. */
static inline char **grove_shape_put_texts(char **tail, char *const *texts, size_t n)
{
    char **copy = (char **)grove_shape_put(tail, texts, n * sizeof texts[0]);

    for (size_t i = 0; i < n; i++)
        copy[i] = grove_shape_put_text(tail, texts[i]);
    return copy;
}

/* Copies n times bytes behind their array. */
static inline ProtobufCBinaryData *grove_shape_put_datas(char **tail,
                                                         const ProtobufCBinaryData *datas, size_t n)
{
    ProtobufCBinaryData *copy =
        (ProtobufCBinaryData *)grove_shape_put(tail, datas, n * sizeof datas[0]);

    for (size_t i = 0; i < n; i++)
        copy[i] = grove_shape_put_data(tail, datas[i]);
    return copy;
}

#endif
