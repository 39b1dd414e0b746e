/*
 * safetensors.h: the header of one safetensors file. Private to quant.
 */
#ifndef TSR_SAFETENSORS_H
#define TSR_SAFETENSORS_H

#include "input.h"
#include "quant.h"

/* Types whose values can be read as f32. */
enum tsr_dtype { TSR_DTYPE_OTHER, TSR_DTYPE_F32, TSR_DTYPE_F16, TSR_DTYPE_BF16, TSR_DTYPE_F64 };

struct tsr_safetensor {
    struct tsr_checkpoint_tensor facts; /* its name is owned by this */
    enum tsr_dtype dtype;
    char dtype_name[12];
    uint32_t element_bytes;
    uint64_t offset, bytes; /* in the file */
    size_t shard;           /* number of the file, filled by the caller */
};

struct tsr_safetensors {
    struct tsr_safetensor *list;
    size_t count;
};

/*
 * Appends the tensors of a file to *to, after checking the whole header; they take the number
 * `shard`. After an error too the caller frees what is in *to. TSR_MALFORMED, TSR_UNSUPPORTED (a
 * dtype that is not known), TSR_IO, TSR_MEMORY.
 */
tsr_status tsr_safetensors_read(struct tsr_safetensors *to, const struct tsr_input *in,
                                size_t shard, struct tsr_error *error);

void tsr_safetensors_free(struct tsr_safetensors *tensors);

#endif
