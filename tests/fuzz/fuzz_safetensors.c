/* Headers of safetensors files: the first 8 bytes are how many the data have. Whatever they say, it is taken or refused with a reason. */
#include "base/mem.h"
#include "weights/safetensors.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t data_bytes;
    fh_err *err = NULL;
    if (size < sizeof data_bytes) return 0;
    memcpy(&data_bytes, data, sizeof data_bytes);
    int rc = fh_safetensors_check((fh_str){(const char *)data + sizeof data_bytes, size - sizeof data_bytes}, data_bytes, &err);
    if ((rc == 0) != (err == NULL)) abort();
    fh_err_free(err);
    return 0;
}
