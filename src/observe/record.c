/* What several readers of a record write alike (see record.h). */
#include "observe/record.h"

#include "base/err.h"
#include <stdio.h>

void fh_record_error_type(int code, char out[FH_ERROR_TYPE_BYTES])
{
    snprintf(out, FH_ERROR_TYPE_BYTES, "%s", code ? fh_code_name(code) : "");
    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
}
