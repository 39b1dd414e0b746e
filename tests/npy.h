/*
 * npy.h: reads the .npy files of the fixtures (NumPy format 1.0, little-endian, C order).
 */
#ifndef TSR_TEST_NPY_H
#define TSR_TEST_NPY_H

#include <stddef.h>
#include <stdint.h>

struct npy {
    char type[4]; /* "<f4" "<i4" "|u1" */
    unsigned dims;
    size_t shape[6];
    size_t count; /* elements */
    void *data;   /* owned */
};

/* Reads tests/fixtures/<folder>/<name>.npy and checks its type; a failure fails the test. */
struct npy npy_read(const char *folder, const char *name, const char *type);
void npy_free(struct npy *array);

/* The folder of a fixture, in a buffer of the callee's. */
const char *fixture_path(const char *folder, const char *file);

#endif
