/* Weights as a folder in the form of Hugging Face: config.json, safetensors files, a tokenizer. Nothing of it is run. */
#ifndef FH_WEIGHTS_FOLDER_PRIVATE_H
#define FH_WEIGHTS_FOLDER_PRIVATE_H

#include "weights/safetensors.h"
#include "weights_private.h"

/* Is that a file of the folder that an engine needs? Programs, pickles and pictures are none. */
bool fh_folder_wants(fh_str name);
int fh_folder_check_file(const char *path, uint64_t bytes, fh_err **err); /* one of its safetensors */
/* What config.json says of family, context and cache. FH_E_CORRUPT when it is no JSON object. */
int fh_folder_config(fh_str text, fh_weights_meta *m, fh_err **err);

#endif
