/* The shapes of what the control plane takes and gives, field by field: openapi is made from them, and requests are checked against them.
 */
#include "server_private.h"

#include <string.h>

#define END                                                                                                                                \
    {                                                                                                                                      \
        NULL, NULL, false, false, NULL                                                                                                     \
    }

static const api_field empty[] = {END};
static const api_field session_create[] = {{"code", "string", true, false, "the part of the console's link behind #code="}, END};
static const api_field session[] = {
    {"key", "string", true, false, "send it as Authorization: Bearer KEY"},
    {"id", "string", true, false, "its id"},
    {"expires", "time", true, false, "when it ends"},
    END,
};
static const api_field console_link[] = {
    {"url", "string", true, false, "open it in a browser, once, within 15 minutes"},
    {"expires", "time", true, false, "when it ends"},
    END,
};
static const api_field machine[] = {
    {"name", "string", true, false, "its host name"},
    {"cpu", "string", true, false, "the processor"},
    {"isa", "string[]", true, false, "instruction sets that engines can use"},
    {"packages", "integer", true, false, "processor packages"},
    {"cores", "integer", true, false, "cores that this process may use"},
    {"threads", "integer", true, false, "hardware threads that this process may use"},
    {"numa_nodes", "integer", true, false, "memory nodes"},
    {"l2_bytes", "integer", true, false, "second-level cache"},
    {"l3_bytes", "integer", true, false, "third-level cache"},
    {"memory_bytes", "integer", true, false, "memory, or the share of it that this process may use"},
    {"memory_free_bytes", "integer", true, false, "what of it is free now"},
    {"sandbox", "string", true, false, "what engines are shut in by: bubblewrap or landlock; none: engines cannot start"},
    {"sandbox_why", "string", true, true, "why there is none"},
    {"version", "string", true, false, "of the server"},
    {"data_dir", "string", true, false, "where its data are"},
    {"import_dirs", "string[]", true, false, "folders that weights may be imported from"},
    {"uptime_s", "integer", true, false, "seconds since the server started"},
    END,
};
static const api_field licence[] = {
    {"name", "string", true, false, "its name"},
    {"class", "string", true, false, "free, ask or restricted"},
    {"summary", "string", true, false, "what it allows, in a sentence"},
    {"allows", "Allows", true, false, "the same in words that programs can read"},
    END,
};
static const api_field allows[] = {
    {"use", "string", true, false, "for money: yes, conditions, no or unknown, as all four"},
    {"change", "string", true, false, "and pass on"},
    {"sell", "string", true, false, "what was changed"},
    {"serve", "string", true, false, "to others for money"},
    END,
};
static const api_field frontier[] = {
    {"percent", "number", true, false, "percent of the best model of that time"},
    {"score", "number", true, false, "what it reached"},
    {"benchmark", "string", true, false, "on which benchmark"},
    {"harness", "string", true, false, "run by what"},
    {"date", "string", true, false, "when"},
    {"source", "string", true, false, "where it was read"},
    {"variant", "string", true, false, "the precision that was tested; others are not measured"},
    {"best_model", "string", true, false, "the best model of that time"},
    {"best_score", "number", true, false, "what that one reached"},
    {"best_date", "string", true, false, "when"},
    END,
};
static const api_field here[] = {
    {"fits", "boolean", true, false, "fits this machine's memory"},
    {"runnable", "boolean", true, false, "fits, our engine knows its family, and its weights are here"},
    {"blocked_by", "string", true, true, "memory, weights or engine"},
    {"why", "string", true, false, "in words"},
    {"has_bytes", "integer", true, false, "this machine's memory"},
    {"missing_bytes", "integer", true, false, "what it lacks; 0 when it fits"},
    {"nearest", "string", true, true, "the id of the best model that would run here, of those whose weights are here if there is one"},
    {"nearest_present", "boolean", true, false, "its weights are here"},
    END,
};
static const api_field variant[] = {
    {"name", "string", true, false, "native, q4_1, ..."},
    {"format", "string", true, false, "how its weights are stored"},
    {"bytes", "integer", true, true, "size of its weights"},
    {"bytes_exact", "boolean", true, false, "false: a rounded figure"},
    {"repo", "string", true, false, "where it is published"},
    {"sha256", "string", true, true, "of its file, where that is known"},
    {"source", "string", true, true, "how to get it, or where the size was read"},
    END,
};
static const api_field model_run[] = {
    {"engine", "string", true, false, "which engine"},
    {"variant", "string", true, true, "the only variant that this is known for"},
    {"least", "string", true, true, "the first version of the engine that knows the model"},
    {"image", "string", true, true, "the container's image"},
    {"package", "string", true, true, "the engine's package"},
    {"revision", "string", true, true, "the commit of the weights"},
    {"arguments", "string[]", true, false, "the model's own, wherever it runs"},
    {"devices", "integer", true, true, "how many devices the rest is for; null: any number"},
    {"device", "string", true, true, "of which kind; null: any"},
    {"host_arguments", "string[]", true, false, "beside those, on such a host"},
    {"environment", "string[]", true, false, "NAME=VALUE"},
    {"state", "string", true, false, "tested by us, documented by the engine, or expected: a source says so and nobody confirmed it"},
    {"source", "string", true, false, "where it was read"},
    {"notes", "string", true, true, "what else to know"},
    END,
};
static const api_field engine[] = {
    {"id", "string", true, false, "as deployments name it"},
    {"name", "string", true, false, "as its makers call it"},
    {"licence", "string", true, false, "its terms"},
    {"formats", "string[]", true, false, "weights that it takes: gguf, safetensors"},
    {"kv_types", "string[]", true, false, "what its cache can be kept as, when it is asked to; empty: as it does by itself"},
    {"architectures", "string[]", true, false, "of GGUF files that it computes; empty: whatever they are"},
    {"least_version", "string", true, true, "the first version that is known"},
    {"below_version", "string", true, true, "the first that is not known any more"},
    {"tested_version", "string", true, true, "the one that was tested; null: none was, or it is our own"},
    {"installed", "boolean", true, false, "it can be started on this machine; its version is looked at when it is"},
    {"why", "string", true, true, "why not"},
    {"hint", "string", true, true, "what to do"},
    END,
};
static const api_field weights_here[] = {
    {"present", "boolean", true, false, "they are on this machine"},
    {"bytes", "integer", true, false, "their size"},
    {"digest", "string", true, true, "SHA-256"},
    {"format", "string", true, true, "gguf or safetensors"},
    {"architecture", "string", true, true, "their family, as they say; null: they do not"},
    END,
};
static const api_field model[] = {
    {"id", "string", true, false, "its name in all APIs"},
    {"name", "string", true, false, "as its makers write it"},
    {"maker", "string", true, false, "who made it"},
    {"aliases", "string[]", true, false, "other names for it"},
    {"rank", "integer", true, true, "1 is nearest to the frontier"},
    {"top_ten", "boolean", true, false, "one of the ten nearest to the frontier"},
    {"starter", "boolean", true, false, "the one to try first: small, free, here"},
    {"tier", "string", true, false, "top10, contender, superseded, small, own"},
    {"from", "string", true, true, "the file of the user's own entries that it stands in; null: of the catalogue, or imported"},
    {"released", "string", true, false, "when"},
    {"license", "Licence", true, false, "under what terms"},
    {"frontier", "Frontier", true, true, "how near the frontier it was measured; null: not measured"},
    {"params_total_b", "number", true, false, "thousands of millions of parameters; 0: unknown"},
    {"params_active_b", "number", true, false, "of them at work for a token"},
    {"context_tok", "integer", true, true, "longest context"},
    {"modalities", "string", true, false, "what it takes and gives"},
    {"attention", "string", true, false, "its classes of attention"},
    {"architecture", "string", true, false, "its family"},
    {"hardware", "string", true, false, "machines that its makers name"},
    {"notes", "string", true, false, "what else to know"},
    {"weights_bytes", "integer", true, true, "size of the first variant's weights"},
    {"needs_bytes", "integer", true, true, "memory that it needs with the default context and streams"},
    {"keeps", "ModelKeeps", true, false, "what a stream keeps of its tokens, on one device"},
    {"here", "Here", true, false, "on this machine"},
    {"weights", "WeightsHere", true, false, "on this machine"},
    {"variants", "Variant[]", true, false, "sets of weights"},
    {"deployments", "string[]", true, false, "names of its deployments that are not stopped or failed"},
    {"scores", "Frontier[]", false, false, "all that were measured; of one model only"},
    {"runs", "ModelRun[]", false, false, "how engines run it; of one model only"},
    END,
};
static const api_field catalog_own[] = {
    {"name", "string", true, false, "its name"},
    {"used", "boolean", true, false, "its entries are in use"},
    {"why", "string", true, true, "why not"},
    {"models", "string[]", true, false, "ids of its models, if it is used"},
    {"machines", "string[]", true, false, "ids of its machines, if it is used"},
    END,
};
static const api_field catalog[] = {
    {"version", "string", true, false, "the day that it is of"},
    {"updated", "boolean", true, false, "an update is in use, not what the program carries"},
    {"program", "string", true, false, "the day of what the program carries"},
    {"before", "string", true, true, "the update that a revert goes back to; null: none"},
    {"update_why", "string", true, true, "why an update that is there is not used"},
    {"own", "CatalogOwn[]", true, false, "entries of the user's own"},
    END,
};
static const api_field catalog_own_create[] = {
    {"name", "string", true, false, "1 to 63 small letters, digits and dashes"},
    {"entries", "object", true, false, "with models, machines or both: docs/CATALOG.md"},
    END,
};
static const api_field catalog_update[] = {
    {"version", "string", true, false, "2026-11-29, or 2026-11-29.2; newer than what is in use"},
    {"models", "object[]", true, false, "all of them: docs/CATALOG.md"},
    {"machines", "object[]", true, false, "all of them"},
    END,
};
static const api_field model_keeps[] = {
    {"rule", "string", true, false, "how the figures are reckoned, in words"},
    {"classes", "string[]", true, false, "of attention, by what they keep: gqa, window, mla, index, compressed, state; none: not known"},
    {"bytes_per_token", "integer", true, true, "in a cache of 16 bits; null: not known"},
    {"bytes_per_token_8bit", "integer", true, true, "in a cache of 8 bits; null: not known"},
    {"bytes_per_stream", "integer", true, false, "beside those, whatever its length: windows and states"},
    {"long_context_tok", "integer", true, false, "131,072, or the model's longest"},
    {"long_context_bytes_8bit", "integer", true, true, "of a stream of that length, all in all, in a cache of 8 bits; null: not known"},
    END,
};
static const api_field progress[] = {
    {"done", "integer", true, false, "bytes that are done"},
    {"total", "integer", true, false, "of so many; 0: unknown"},
    END,
};
static const api_field engine_load[] = {
    {"running", "integer", true, true, "requests in its batch; null, as all of these: the engine does not say"},
    {"waiting", "integer", true, true, "requests in its queue"},
    {"kv_used", "number", true, true, "share of its cache that running requests hold, 0 to 1"},
    {"tokens_per_second", "number", true, true, "answered, over all requests, since the reading before; null at the first"},
    {"prompt_tokens_per_second", "number", true, true, "computed of prompts, the same"},
    {"measured", "time", true, false, "when its metrics were read"},
    END,
};
static const api_field deployment[] = {
    {"name", "string", true, false, "its name"},
    {"set", "string", true, true, "the set that it is a replica of"},
    {"model", "string", true, false, "the model's id"},
    {"variant", "string", true, false, "which weights"},
    {"place", "string", true, false, "where it runs"},
    {"engine", "string", true, false, "what runs it: freehold, or another engine's id"},
    {"region", "string", true, true, "where that is: serve --region; null: not known"},
    {"state", "string", true, false, "requested, planning, provisioning, fetching, loading, proving, ready, draining, stopped or failed"},
    {"reason", "string", true, false, "why it is in this state"},
    {"hint", "string", true, true, "what to do when it failed"},
    {"created", "time", true, false, "when it was asked for"},
    {"changed", "time", true, false, "when the state changed last"},
    {"progress", "Progress", true, true, "of fetching and loading"},
    {"context_tok", "integer", true, false, "context of each stream"},
    {"streams", "integer", true, false, "requests at once"},
    {"kv_type", "string", true, true, "what the cache is kept as, when that was asked for; null: as the engine does by itself"},
    {"pid", "integer", true, true, "the engine's process"},
    {"rss_bytes", "integer", true, false, "memory that the engine has"},
    {"load", "EngineLoad", true, true, "by the engine's own metrics, every five seconds; null: not ready, or not read yet"},
    {"sandbox", "string", true, false, "what shuts the engine in"},
    {"restarts", "integer", true, false, "how often it was started again"},
    {"trust", "string", true, true, "who may read what it is asked: it runs nowhere else; null: wherever it fits"},
    {"read_by", "string", true, true,
     "who can, where it is now: own (its user alone), rented (whoever has that machine); null: not known yet"},
    {"owned_by", "string", true, true, "whose that machine is; null: nobody was named"},
    {"machine", "DeploymentMachine", true, true, "the machine that was got for it alone; null: it runs on none such"},
    {"limit", "DeploymentLimit", true, true, "what such machines may cost; null: there is no limit"},
    END,
};
static const api_field deployment_machine[] = {
    {"order", "integer", true, false, "its number; the machine joins the pool by the provider's name and that number"},
    {"provider", "string", true, false, "provider/NAME: who it is got of"},
    {"hour_micro", "integer", true, false, "what an hour of it costs, in millionths of the currency; 0: nothing, or not known yet"},
    {"spent_micro", "integer", true, false, "what it has cost so far, at most"},
    {"currency", "string", true, true, "of both; null while nothing is known of a price"},
    {"ends", "time", true, true, "when it will be taken away; null: that is not known"},
    {"leaving", "boolean", true, false, "it is about to be taken away before that"},
    {"note", "string", true, true, "it is another one than was picked, and why; null: it is not"},
    END,
};
static const api_field deployment_limit[] = {
    {"hour_micro", "integer", false, false, "most that an hour of a machine may cost, in millionths of the currency; 0: no limit"},
    {"seconds", "integer", false, false, "most time that machines may be had for, all together; 0: no limit"},
    {"cost_micro", "integer", false, false, "most that they may cost, all together; 0: no limit"},
    {"currency", "string", false, true, "three capital letters, as USD; needed where there is an amount"},
    END,
};
static const api_field deployment_create[] = {
    {"model", "string", true, false, "id, alias, or the path of a GGUF file in an import folder; with reuse also deployment/NAME"},
    {"name", "string", false, false, "a name of your own; made from the model's id without one"},
    {"place", "string", false, false,
     "here, pool, node/NAME, or provider/NAME (or the kind of one) to get a machine there; left out: the cheapest of here and the pool"},
    {"engine", "string", false, false,
     "freehold, llama-server or vllm; without: freehold, or where it does not take such weights one that is installed and does"},
    {"context_tok", "integer", false, false, "context of each stream"},
    {"streams", "integer", false, false, "requests at once"},
    {"kv_type", "string", false, false,
     "what the cache of keys and values is kept as: f16, q8_0 or q4_0; left out: as the engine does by itself"},
    {"replicas", "integer", false, false, "so many replicas are to run: the deployment becomes a set; the reply is one of them"},
    {"replicas_min", "integer", false, false, "the fewest; 0: the set may sleep"},
    {"replicas_max", "integer", false, false, "the most: between the two there are as many as there is work for"},
    {"idle_s", "integer", false, false, "seconds without a request until a set whose fewest are 0 sleeps"},
    {"limit", "DeploymentLimit", false, false, "what machines that are got for it may cost; an hour's holds for machines of the pool, too"},
    {"trust", "string", false, false,
     "who may read what it is asked: it runs nowhere else. own, rented, or names besides, with commas: node/NAME, provider/NAME, "
     "owner/NAME"},
    {"offer", "string", false, false,
     "of place provider/NAME, a plan's name: rented before others; when it is gone, one of its kind, then the cheapest that fits the "
     "limit"},
    {"reuse", "boolean", false, false, "take what runs or is on its way of that model, if anything is; false: start another beside it"},
    END,
};
static const api_field deployment_roll[] = {
    {"model", "string", false, false, "other weights: as for a new deployment; left out: the newest of those that run"},
    {"place", "string", false, false, "here, pool or node/NAME; left out: as it was, as is all below"},
    {"engine", "string", false, false, "freehold, llama-server or vllm"},
    {"context_tok", "integer", false, false, "context of each stream"},
    {"streams", "integer", false, false, "requests at once"},
    {"kv_type", "string", false, false, "what the cache is kept as: f16, q8_0 or q4_0"},
    END,
};
static const api_field replica_set[] = {
    {"name", "string", true, false, "its name, which requests may ask for as deployment/NAME"},
    {"model", "string", true, false, "the model's id"},
    {"variant", "string", true, false, "which weights"},
    {"place", "string", true, true, "where its replicas may run; null: anywhere"},
    {"engine", "string", true, false, "what runs them"},
    {"trust", "string", true, true, "who may read what they are asked: they run nowhere else; null: wherever they fit"},
    {"replicas_min", "integer", true, false, "the fewest"},
    {"replicas_max", "integer", true, false, "the most"},
    {"idle_s", "integer", true, true, "seconds without a request until it sleeps; null: it does not"},
    {"wanted", "integer", true, false, "replicas that there are to be now; 0: it sleeps"},
    {"running", "integer", true, false, "replicas that run or are on their way"},
    {"ready", "integer", true, false, "of these, ready"},
    {"leaving", "integer", true, false, "of these, that go once their successors are ready"},
    {"reason", "string", true, false, "why so many are wanted"},
    {"woke_ms", "integer", true, true, "how long it took to wake it last"},
    {"created", "time", true, false, "when it was made"},
    {"changed", "time", true, false, "when its numbers changed last"},
    END,
};
static const api_field deployment_event[] = {
    {"id", "integer", true, false, "grows with time"},
    {"time", "time", true, false, "when"},
    {"from", "string", true, true, "the state before; null at first"},
    {"to", "string", true, false, "the state after"},
    {"reason", "string", true, false, "why"},
    {"hint", "string", true, true, "what to do"},
    END,
};
static const api_field weights[] = {
    {"digest", "string", true, false, "SHA-256"},
    {"id", "string", true, false, "the model's id"},
    {"variant", "string", true, false, "of the catalogue; empty when unknown there"},
    {"format", "string", true, false, "gguf or safetensors"},
    {"bytes", "integer", true, false, "their size"},
    {"packed_bytes", "integer", true, false, "beside it, what our engine keeps of them for its next start"},
    {"page_bytes", "integer", true, false, "and what it computed of prompts, for later requests"},
    {"files", "integer", true, false, "in how many files"},
    {"imported", "time", true, false, "when"},
    {"in_catalog", "boolean", true, false, "the catalogue knows these very bytes"},
    {"architecture", "string", true, false, "the family, as the file says"},
    {"context_tok", "integer", true, true, "longest context, as the file says"},
    END,
};
static const api_field weights_import[] = {
    {"path", "string", true, false,
     "absolute path inside an import folder: of a GGUF file, the first of a split, or of a folder of safetensors"},
    {"id", "string", false, false, "a name of your own for a file that the catalogue does not know"},
    END,
};
static const api_field import_job[] = {
    {"id", "string", true, false, "of this import"},
    {"state", "string", true, false, "running, done or failed"},
    {"path", "string", true, false, "what is imported"},
    {"done_bytes", "integer", true, false, "how far"},
    {"total_bytes", "integer", true, false, "of so many"},
    {"weights", "Weights", true, true, "what it became"},
    {"error", "string", true, true, "why it failed"},
    {"hint", "string", true, true, "what to do about it"},
    END,
};
#define OF_KEY                                                                                                                             \
    {"id", "string", true, false, "its first part, which is no secret"}, {"name", "string", true, false, "what it is for"},                \
        {"scope", "string", true, false, "use, admin, or scopes with commas between them"},                                                \
        {"models", "string[]", true, false, "what it may ask for; empty: all"},                                                            \
        {"regions", "string[]", true, false, "where its requests may be answered; empty: anywhere"},                                       \
        {"trust", "string", true, true, "who may read its requests, at most; null: each says itself"},                                     \
        {"owner", "string", true, true, "who pays for them; null: nobody was named"}, {"created", "time", true, false, "when"},            \
        {"expires", "time", true, true, "null: never"}, {"revoked", "time", true, true, "null: valid"},                                    \
        {"used", "time", true, true, "when it was used last, to the minute; null: never"},                                                 \
        {"old_secret_until", "time", true, true, "how long its text before the last rotation opens; null: not"},                           \
        {"requests_per_minute", "integer", true, false, "0: no limit"}, {"tokens_per_minute", "integer", true, false, "0: no limit"},      \
        {"at_once", "integer", true, false, "requests under way at once; 0: no limit"},                                                    \
        {"prefer", "string", true, false, "balance, price, speed or energy: of a request that says nothing"},                              \
        {"page_cache", "boolean", true, false, "what is computed of its prompts may be kept on disk"},                                     \
        {"priority", "string", true, false, "low, normal or high: of a request that names none"},                                          \
    {                                                                                                                                      \
        "priority_most", "string", true, false, "the most that a request may name"                                                         \
    }
static const api_field key[] = {OF_KEY, END};
static const api_field new_key[] = {{"key", "string", true, false, "its text, shown this once"}, OF_KEY, END};
static const api_field key_create[] = {
    {"name", "string", true, false, "what it is for"},
    {"scope", "string", false, false,
     "use (the default), admin, or some of chat, completions, embeddings, responses, messages, tokenize, read, spend, wake and guard, with "
     "commas between them"},
    {"models", "string[]", false, false, "models, groups, deployment/NAME or provider/NAME that it may ask for; without: all"},
    {"regions", "string[]", false, false, "regions that its requests may be answered in; without: anywhere"},
    {"trust", "string", false, false,
     "who may read its requests, at most: own, rented, named or any, or names besides, with commas: node/NAME, provider/NAME, owner/NAME"},
    {"owner", "string", false, false, "who pays for them: what they ask of machines of the same owner earns those no standing"},
    {"days", "integer", false, false, "how long it is valid; without: until it is revoked"},
    {"requests_per_minute", "integer", false, false, "beyond: 429 with when to ask again; 0: no limit"},
    {"tokens_per_minute", "integer", false, false, "of prompts and answers; 0: no limit"},
    {"at_once", "integer", false, false, "requests under way at once; 0: no limit"},
    {"priority", "string", false, false, "low, normal (the default) or high: of a request that names none"},
    {"priority_most", "string", false, false, "the most that a request may name; without: priority"},
    {"prefer", "string", false, false, "balance (the default), price, speed or energy: of a request that says nothing"},
    {"page_cache", "boolean", false, false, "false: nothing that is computed of its prompts lies on a disk; without: it may"},
    END,
};
static const api_field key_rotate[] = {
    {"grace_s", "integer", false, false, "seconds that the text before opens too; 0 (the default): not any more"},
    END,
};
static const api_field tokenizer_file[] = {
    {"file", "string", true, false, "path of a GGUF, a tokenizer.json or a tiktoken file in an import folder, where it stays"},
    {"model", "string", false, true, "whose it is; without: of all the endpoint's models that have none of their own"},
    END,
};
static const api_field provider_tokenizer[] = {
    {"file", "string", true, false, "its path"},
    {"model", "string", true, true, "whose it is; null: of all models that have none of their own"},
    {"loaded", "boolean", true, false, "tokens are counted by it; false: what the endpoint says is taken"},
    END,
};
static const api_field provider_price[] = {
    {"model", "string", false, true, "whose it is; null: of all the endpoint's models that have none of their own"},
    {"input_nusd_per_million", "integer", true, false, "what a million tokens of prompts cost there, in billionths of a dollar"},
    {"output_nusd_per_million", "integer", true, false, "likewise, of answers"},
    END,
};
static const api_field standing[] = {
    {"standing", "integer", true, false, "0 to 100: what is expected of it by what was measured; a newcomer has 42, one that cheats 0"},
    {"honesty", "string", true, false, "the worst that was found out about one of its models: unknown, honest, doubted or cheats"},
    {"reason", "string", true, true, "why, in words"},
    {"requests", "number", true, false, "that it answered or failed; half of them are forgotten after a week"},
    {"failing", "number", true, false, "the share of requests that is expected to fail there"},
    {"up", "number", true, false, "the share of time that it is expected to be there"},
    {"tokens_per_second", "number", true, true, "of one stream, over all its models; null: not measured yet"},
    {"decode_tokens_per_second", "number", true, true,
     "of a machine of the pool: of one stream after its first token; null: not measured yet"},
    {"prompt_tokens_per_second", "number", true, true, "of prompts until the first token; null: not measured yet"},
    {"weights_read_bytes_per_second", "number", true, true,
     "of weights while it answers one stream, which plans for any model reckon with; null: not measured yet"},
    END,
};
static const api_field node_measured[] = {
    {"at", "time", true, true, "when the server measured it last; null: not yet"},
    {"round_trip_us", "integer", true, true, "there and back over its link"},
    {"link_to_bytes_per_s", "integer", true, true, "to the machine"},
    {"link_from_bytes_per_s", "integer", true, true, "from it"},
    {"memory_read_bytes_per_s", "integer", true, true, "that it reads of its memory, by work that the server has checked"},
    {"work_done", "boolean", true, true, "false: it did not do that work, and what it says of its memory's speed counts for nothing"},
    END,
};
static const api_field node[] = {
    {"name", "string", true, false, "its name"},
    {"state", "string", true, false, "joined, or draining: nothing new is started on it"},
    {"here", "boolean", true, false, "it is connected now"},
    {"owned_by", "string", true, true, "whose it is, by the token that it joined with; null: nobody was named"},
    {"ask_micro_per_hour", "integer", true, false, "what its owner wants for an hour, in millionths of the currency; 0: nothing"},
    {"ask_currency", "string", true, false, "as USD"},
    {"standing", "Standing", true, false, "what was measured of it"},
    {"joined", "time", true, false, "when it joined"},
    {"seen", "time", true, true, "when it was connected last; null: it has not come yet"},
    {"certificate_expires", "time", true, true, "end of its certificate, which is renewed before; null: it has none yet"},
    {"memory_bytes", "integer", true, true, "that its engines may use, as it said last; null: it is not here"},
    {"memory_free_bytes", "integer", true, true, "of that, what is free now"},
    {"sandbox", "string", true, true, "what shuts engines in there"},
    {"engines", "string[]", true, false, "that its owner installed; none while it is not here"},
    {"owner", "object", true, true, "what its owner allows, and why nothing now (docs/POOL.md); null: it is not here"},
    {"facts", "object", true, false,
     "what it says of itself: processor, memory, GPUs, what it measured; empty until it has (docs/POOL.md)"},
    {"measured", "NodeMeasured", true, false, "what the server has measured of it"},
    END,
};
static const api_field node_token_create[] = {
    {"owner", "string", false, false, "whose machine it is for; without: the key's own"},
    END,
};
static const api_field node_token[] = {
    {"token", "string", true, false, "for `freehold node join`, once"},
    {"expires", "time", true, false, "when it ends"},
    {"server_sha256", "string", true, false, "fingerprint of the certificate that the machine will see: part of the token"},
    {"port", "integer", true, false, "where the server listens for machines"},
    {"addresses", "string[]", true, false, "of this machine, at which others may reach that port; which of them do, it does not know"},
    END,
};
static const api_field provider[] = {
    {"name", "string", true, false, "how it is called here"},
    {"url", "string", true, false, "where it is, without /v1"},
    {"kind", "string", true, false,
     "openai or anthropic: which API it speaks; runpod, vast, lambda or skypilot: machines are rented there; slurm: a cluster"},
    {"engine", "string", true, true, "llama-server or vllm, where it says so: what it cannot do is refused by name; null: not known"},
    {"trust", "string", true, false, "own, rented, named or any: requests that allow no more go there"},
    {"region", "string", true, true, "where it stands, as it was added; null: not known"},
    {"has_key", "boolean", true, false, "whether it was given with a key, which is never shown"},
    {"key_file", "string", true, true, "where the key of an account lies that machines are rented of; null: a hosted endpoint"},
    {"settings", "object", true, true, "of one that machines are got of: what its kind wants to know; null: another provider"},
    {"offers", "integer", true, true, "machines that it offered when it was asked last; null: a hosted endpoint, or not asked yet"},
    {"created", "time", true, false, "when"},
    {"models", "string[]", true, false, "what it serves"},
    {"standing", "Standing", true, false, "what was measured of it"},
    {"canaries_per_day", "integer", true, false, "checks of its honesty that are sent by themselves; 0: none"},
    {"honesty", "string", true, false, "the worst that was found out about one of its models: unknown, honest, doubted or cheats"},
    {"tokenizers", "ProviderTokenizer[]", true, false, "files by which its tokens are counted here"},
    {"prices", "ProviderPrice[]", true, false, "what its tokens cost, as far as somebody said"},
    END,
};
static const api_field rental_act[] = {
    {"id", "integer", true, false, "its number, which stands in the machine's name: freehold:INSTALLATION:EPOCH.ID"},
    {"phase", "string", true, false, "begun, held, ending or over"},
    {"offer", "string", true, false, "the provider's word for what was asked for"},
    {"machine", "string", true, true, "the provider's number of it; null: not known"},
    {"reason", "string", true, true, "why it ends or has ended"},
    {"asked", "time", true, true, "when it was asked for"},
    {"running", "time", true, true, "when it was seen running first"},
    {"gone", "time", true, true, "since when it surely was not there"},
    {"hour_micro", "integer", true, false, "an hour of it, in millionths of the currency"},
    {"least_s", "integer", true, false, "seconds that are surely charged"},
    {"most_s", "integer", true, false, "seconds that may be"},
    {"amount_micro", "integer", true, false, "the most that may be charged: what counts against limits"},
    {"start_micro", "integer", true, false, "of that, before it ran"},
    {"charged_micro", "integer", true, true, "what the provider says that it charged; null: it does not, or has not yet"},
    {"bill", "string", true, false, "all that in words"},
    END,
};
static const api_field rental[] = {
    {"id", "integer", true, false, "its number; 0: of machines that nothing accounted for, which were ended"},
    {"provider", "string", true, false, "the account"},
    {"order", "integer", true, true, "the deployment's order that it is for"},
    {"state", "string", true, false, "wanted, ending, over, or former: of a database that this one was copied from"},
    {"joined", "boolean", true, false, "its machine has joined the pool"},
    {"reason", "string", true, true, "why it is wanted no more, or why its last try ended"},
    {"asked", "time", true, true, "since when it is wanted"},
    {"limit_s", "integer", true, false, "of all its machines together"},
    {"limit_micro", "integer", true, false, "likewise"},
    {"max_hour_micro", "integer", true, false, "what an hour may cost"},
    {"spent_micro", "integer", true, false, "so far, at most"},
    {"currency", "string", true, false, "of all these amounts"},
    {"acts", "RentalAct[]", true, false, "each try to get a machine, oldest first"},
    END,
};
static const api_field rental_quote_ask[] = {
    {"model", "string", true, false, "as of a deployment"},
    {"place", "string", true, false, "provider/NAME, or the kind of one"},
    {"engine", "string", false, false, "as of a deployment"},
    {"context_tok", "integer", false, false, "tokens of each stream"},
    {"streams", "integer", false, false, "at once"},
    {"kv_type", "string", false, false, "as of a deployment"},
    {"limit", "DeploymentLimit", false, false, "what is not said of it is filled in"},
    {"offer", "string", false, false, "as of a deployment; without: the cheapest that fits"},
    END,
};
static const api_field rental_quote[] = {
    {"provider", "string", true, false, "the account"},
    {"model", "string", true, true, "its id; null: not one of the catalogue, so that its size is not known yet"},
    {"offer", "string", true, false, "that would be taken now, in the provider's words"},
    {"gpus", "integer", true, false, "that it has"},
    {"gpu", "string", true, false, "as the provider calls them"},
    {"hour_micro", "integer", true, false, "what an hour costs, in millionths of a dollar"},
    {"limit", "DeploymentLimit", true, false, "that would hold"},
    {"start_s", "integer", true, false, "about so long until it is ready"},
    {"start_micro", "integer", true, false, "what that costs; it counts against the limit"},
    {"ends_itself", "boolean", true, false, "its machine ends itself at the limit when the server is gone"},
    {"guarded_s", "integer", true, true,
     "a guard watches the account, and ends its machines after so many seconds without the server; null: none does. Without one, and when "
     "it does "
     "not end itself, the bill goes on if the server dies"},
    {"text", "string", true, false, "all that in one line"},
    END,
};
static const api_field guard_ask[] = {
    {"provider", "string", true, false, "the account that it watches, as it is called here"},
    {"silence_s", "integer", false, false,
     "of the server, after which it ends machines; without: it only asks, and does not count as a guard"},
    END,
};
static const api_field guard_machine[] = {
    {"tag", "string", true, false, "how the machine is called there: freehold:INSTALLATION:EPOCH.ACT"},
    {"machine", "string", true, true, "the provider's number of it; null: not known (yet)"},
    {"left_s", "integer", true, false, "until its limits are reached; below zero: they have been"},
    END,
};
static const api_field guard_told[] = {
    {"provider", "string", true, false, "the account"},
    {"kind", "string", true, false, "runpod, vast, lambda or skypilot"},
    {"installation", "string", true, false, "who this server is, as machines carry it"},
    {"epochs", "string[]", true, false,
     "of its database that are its own, the newest first; what it rented before it was copied is not among them"},
    {"machines", "GuardMachine[]", true, false, "each try to get a machine that is not over"},
    END,
};
static const api_field rentals_taken_over[] = {
    {"taken_over", "integer", true, false, "former epochs of this database that are its own now"},
    END,
};
static const api_field honesty_test[] = {
    {"name", "string", true, false, "model (other weights, or coarser ones), cache (old answers) or counts (tokens that nobody made)"},
    {"evidence_log10", "number", true, false, "the most evidence that it had against the endpoint: decimal digits of the odds"},
    END,
};
static const api_field honesty[] = {
    {"provider", "string", true, false, "the endpoint, or node/NAME"},
    {"model", "string", true, false, "what it says it serves"},
    {"verdict", "string", true, false,
     "unknown, honest, doubted (asked when no other will do) or cheats (not asked until that is cleared)"},
    {"reason", "string", true, false, "why, in words"},
    {"running", "boolean", true, false, "it is being checked now"},
    {"done", "integer", true, false, "canaries of that check, or of the last one"},
    {"wanted", "integer", true, false, "of so many"},
    {"error", "string", true, true, "why that check ended before its time"},
    {"canaries", "integer", true, false, "that it answered since it was cleared"},
    {"unclear", "integer", true, false, "of those, whose tokens could not be compared"},
    {"positions", "integer", true, false, "tokens that were compared"},
    {"deviation", "number", true, true, "how far its log-probabilities are from ours on average, in nats; null: nothing was compared"},
    {"deviation_bound", "number", true, false, "what honest arithmetic stays below, for this model"},
    {"measured", "boolean", true, false, "that was measured here; false: only another model is beyond it"},
    {"repeats", "integer", true, false, "canaries that it was asked again"},
    {"same", "integer", true, false, "of those, that it answered with the same words"},
    {"counted", "integer", true, false, "answers whose tokens were counted here too"},
    {"inflated", "integer", true, false, "of those, for which it said more"},
    {"evidence_log10", "number", true, false, "of all tests together; 6 is proof"},
    {"false_accusation_log10", "number", true, false,
     "the chance that an honest endpoint is ever found to cheat is below ten to the power of this"},
    {"tests", "HonestyTest[]", true, false, "each of them"},
    {"prompt_tokens", "integer", true, false, "spent on checking, as counted here"},
    {"completion_tokens", "integer", true, false, "likewise"},
    {"cost_nusd", "integer", true, true, "what those cost at the prices that were given for it; null: none were"},
    {"checked", "time", true, true, "when its last canary was"},
    END,
};
static const api_field honesty_check[] = {
    {"model", "string", false, false, "one that it serves and that is ready here too; without: the first such"},
    {"measure", "boolean", false, false,
     "the endpoint is known to be honest: how far it is from ours becomes the measure for others; its own standing stays"},
    {"canaries", "integer", false, false, "how many at most, 1 to 1000; without: 100. A cheat ends it sooner"},
    END,
};
static const api_field provider_create[] = {
    {"settings", "object", false, false, "of one that machines are got of: texts by name, which its kind knows"},
    {"name", "string", true, false, "how it is to be called: small letters, digits, dashes"},
    {"url", "string", false, false, "where it is, with or without /v1; not for those that machines are rented of, which are known"},
    {"kind", "string", false, false,
     "openai (the default) or anthropic: which API it speaks; runpod, vast, lambda or skypilot: machines are rented there; slurm: a "
     "cluster"},
    {"key", "string", false, false, "the key for a hosted endpoint"},
    {"key_file", "string", false, false,
     "of an account that machines are rented of: the file on the server's machine that holds its key (mode 600)"},
    {"trust", "string", false, false, "own, rented, named or any; without: own for this machine, else named"},
    {"canaries_per_day", "integer", false, false,
     "checks of its honesty that are sent by themselves, of models that are ready here too; without: none"},
    {"region", "string", false, false, "where it stands: 1 to 63 small letters, digits and dashes, as eu-west-1; without: not known"},
    {"tokenizers", "TokenizerFile[]", false, false, "files by which tokens are counted here, instead of taking what the endpoint says"},
    {"prices", "ProviderPrice[]", false, false, "what its tokens cost: plans rank it by them, and requests are reckoned by them"},
    END,
};
static const api_field traffic_replica[] = {
    {"deployment", "string", true, false, "its deployment, or the hosted endpoint"},
    {"requests", "integer", true, false, "that were sent there"},
    {"failures", "integer", true, false, "of those that failed there"},
    {"tool_calls", "integer", true, false, "answers of it that called tools"},
    {"bad_tool_calls", "integer", true, false, "of those, with a call that cannot be made"},
    {"in_flight", "integer", true, false, "that run there now"},
    {"tokens_per_second", "number", true, true, "of one stream, a moving average; null: not known yet"},
    {"first_token_ms", "integer", true, true, "until its first token, likewise"},
    {"paused", "boolean", true, false, "it failed too often a moment ago and gets no requests for a while"},
    END,
};
static const api_field failover_attempt[] = {
    {"deployment", "string", true, false, "what was asked"},
    {"place", "string", true, false, "where it runs"},
    {"began_ms", "integer", true, false, "when it was asked, from the request's beginning"},
    {"first_token_ms", "integer", true, true, "when its first token came; null: none did"},
    {"ended_ms", "integer", true, true, "when it was done with; null: it runs"},
    {"from_token", "integer", true, false, "tokens that the client had when it was asked"},
    {"to_token", "integer", true, true, "and when it was done with"},
    {"error", "string", true, true, "why it was given up: a class of error; null: it was not"},
    END,
};
static const api_field failover[] = {
    {"began", "time", true, false, "when the request came"},
    {"model", "string", true, false, "what it asked for"},
    {"stream", "boolean", true, false, "whether it was streamed"},
    {"over", "boolean", true, false, "whether it has ended"},
    {"error", "string", true, true, "the class of error that it ended with; null: none"},
    {"first_token_ms", "integer", true, true, "when the client had its first byte; null: it has none"},
    {"ended_ms", "integer", true, true, "when it ended, or how far it is"},
    {"completion_tokens", "integer", true, false, "of its answer"},
    {"attempt_count", "integer", true, false, "replicas that were asked; attempts tells the first ones and the last"},
    {"attempts", "FailoverAttempt[]", true, false, "each of them, in order"},
    END,
};
static const api_field traffic[] = {
    {"time", "time", true, false, "of these counts"},
    {"in_flight", "integer", true, false, "requests that run now"},
    {"finished", "integer", true, false, "since the server started: requests that ended well"},
    {"failed", "integer", true, false, "that ended with an error"},
    {"cancelled", "integer", true, false, "whose client left"},
    {"limited", "integer", true, false, "that were beyond what their key may ask"},
    {"retried", "integer", true, false, "that were sent to another replica"},
    {"resumed", "integer", true, false, "of those, streams that had begun"},
    {"prompt_tokens", "integer", true, false, "tokens of prompts"},
    {"completion_tokens", "integer", true, false, "tokens of answers, of streams as they come"},
    {"replicas", "TrafficReplica[]", true, false, "each replica that was asked of late"},
    {"failover", "Failover", true, true, "the request whose replica broke last; null: none did"},
    END,
};
static const api_field group_member[] = {
    {"name", "string", true, false, "a model, deployment/NAME or provider/NAME/MODEL"},
    {"input_nusd_per_million", "integer", false, true,
     "what a million tokens of prompts cost there, in billionths of a dollar; 0: nothing"},
    {"output_nusd_per_million", "integer", false, true, "likewise, of answers"},
    {"uj_per_token", "integer", false, true, "energy of a token of an answer, in millionths of a joule"},
    {"active_parameters", "integer", false, true, "parameters that a token goes through: how large it is"},
    END,
};
static const api_field group[] = {
    {"name", "string", true, false, "what requests ask for"},
    {"created", "time", true, false, "when"},
    {"models", "GroupMember[]", true, false, "of which one answers; null where nobody said it: the catalogue's figures are taken"},
    END,
};
static const api_field group_create[] = {
    {"name", "string", true, false, "small letters, digits, dashes; auto: instead of the built-in group, which is all that runs"},
    {"models", "GroupMember[]", true, false, "of which one is to answer; the smallest first, where nothing else tells their size"},
    END,
};
static const api_field outcome_create[] = {
    {"request", "string", true, false, "the reply's x-request-id"},
    {"good", "boolean", true, false, "whether the answer did"},
    END,
};
static const api_field usage_failover[] = {
    {"at_token", "integer", true, false, "tokens that the client had then"},
    {"deployment", "string", true, true, "what was asked and broke"},
    {"error", "string", true, true, "the class of error that it ended with"},
    END,
};
static const api_field usage[] = {
    {"request", "string", true, false, "the reply's x-request-id"},
    {"key", "string", true, true, "the id of the key that asked"},
    {"time", "time", true, false, "when it came"},
    {"duration_ms", "integer", true, false, "until its reply had ended"},
    {"queued_ms", "integer", true, false, "of that, waiting for its turn"},
    {"operation", "string", true, false, "chat, text_completion or embeddings"},
    {"stream", "boolean", true, false, "whether the client asked for a stream"},
    {"complete", "boolean", true, false, "whether the client has all of the reply"},
    {"finish_reason", "string", true, true, "stop, length, tool_calls, content_filter; null: it has none"},
    {"error", "string", true, true, "the class of error that it ended with; null: none"},
    {"model", "string", true, true, "what answered"},
    {"deployment", "string", true, true, "its deployment, or the hosted endpoint"},
    {"place", "string", true, true, "where"},
    {"reason", "string", true, true, "why that one"},
    {"alternatives", "string", true, true, "models that could have answered too, with how likely they would have done"},
    {"failovers", "UsageFailover[]", true, false, "replicas that were asked before it"},
    {"cache", "string", true, false, "hit, miss or off"},
    {"prompt_tokens", "integer", true, false, "recorded, limited and billed, as are completion_tokens"},
    {"completion_tokens", "integer", true, false, "of the answer, its thought and its tool calls"},
    {"counted", "string", true, true,
     "by whom: freehold (our engine, or the model's tokenizer here), upstream (what the replica says is taken) or estimated (four bytes a "
     "token); null: nothing was"},
    {"covers", "string", true, false,
     "of the prompt: prompt (all that the model reads) or text (what the client sent, without a template)"},
    {"upstream_prompt_tokens", "integer", true, true, "as the replica says; null: it does not"},
    {"upstream_completion_tokens", "integer", true, true, "likewise"},
    {"differs", "boolean", true, false, "that is not what we counted, by more than a few"},
    {"cached_tokens", "integer", true, false, "of the prompt, that were not computed again, as the replica says"},
    {"reasoning_tokens", "integer", true, false, "of the answer, its thought, as the replica says"},
    {"unsent_tokens", "integer", true, false, "beside those: of an answer that did not do and was not sent, with its prompt"},
    {"cost", "string", true, true, "what the tokens cost, exactly, as a decimal number; null: the price is not known"},
    {"currency", "string", true, false, "USD"},
    {"energy_uj", "integer", true, true, "energy of the answer, in millionths of a joule; null: not known"},
    {"water_ul", "integer", true, true, "water, in millionths of a litre; null: not known"},
    {"basis", "string", true, false, "of cost and energy: modelled or unknown"},
    END,
};
static const api_field plan_offer[] = {
    {"place", "string", true, false, "its name, for the reader"},
    {"device", "string", false, false, "a machine's: h200, mi355x and others of the catalogue; without: an endpoint priced by the token"},
    {"devices", "integer", false, false, "in one machine; 1 without"},
    {"machines", "integer", false, false, "that work as one; 1 without"},
    {"hour_nusd", "integer", false, false, "a machine's: price of an hour of all of it, in billionths of a dollar"},
    {"input_nusd_per_million", "integer", false, false, "an endpoint's: price of a million prompt tokens"},
    {"output_nusd_per_million", "integer", false, false, "an endpoint's: price of a million answered tokens"},
    {"name", "string", false, false, "what its seller calls it"},
    {"source", "string", false, false, "the list that it stands in"},
    {"row", "integer", false, false, "and where in it"},
    {"region", "string", false, false, "where it stands"},
    {"spot", "boolean", false, false, "a machine's: it may be taken away"},
    {"start_s", "integer", false, false, "until it answers with its image"},
    {"fetch_mb_s", "integer", false, false, "at which weights come there, in millions of bytes a second; 0: they are there"},
    END,
};
static const api_field offer_list[] = {
    {"name", "string", true, false, "its name"},
    {"imported", "time", true, false, "when it was given"},
    {"offers", "integer", true, false, "how many are planned with"},
    END,
};
static const api_field offer_list_create[] = {
    {"name", "string", true, false, "small letters, digits, dashes; a list of that name is replaced"},
    {"offers", "PlanOffer[]", true, false, "what is planned with from now on"},
    END,
};
static const api_field plan_region[] = {
    {"name", "string", true, false, "as in offers"},
    {"pue_milli", "integer", true, false, "power usage effectiveness, thousandths"},
    {"wue_ml_kwh", "integer", true, false, "water on the site, millilitres a kWh of computing"},
    {"grid_ml_kwh", "integer", true, false, "water of the electricity, millilitres a kWh from the grid"},
    END,
};
static const api_field plan_create[] = {
    {"model", "string", true, false, "id or alias of the catalogue"},
    {"variant", "string", false, false, "one of its variants; without: the first that fits"},
    {"context_tok", "integer", false, false, "tokens of each stream"},
    {"streams", "integer", false, false, "at once"},
    {"kv_type", "string", false, false,
     "what caches are kept as: f16, q8_0 or q4_0; without: as the engine of each place does by itself, and engines that cannot be told "
     "are planned with too"},
    {"prompt_tok", "integer", false, false, "of a usual request; 1000 without"},
    {"answer_tok", "integer", false, false, "of a usual request; 500 without"},
    {"load_tok_s", "integer", false, false, "answered tokens wanted a second; without: all streams are always busy"},
    {"max_hour_nusd", "integer", false, false, "limit of an hour's price, in billionths of a dollar"},
    {"max_ready_s", "integer", false, false, "limit of the time until it is ready"},
    {"min_decode_tok_s", "integer", false, false, "tokens a second that a stream must get"},
    {"licence", "string", false, false, "the strictest class that is allowed: free, ask or restricted"},
    {"prefer", "string", false, false, "price (without), speed, energy or start"},
    {"offers", "PlanOffer[]", false, false, "places beside this machine and those that are known"},
    {"spot", "boolean", false, false, "true: also machines that may be taken away"},
    {"region", "string", false, false, "only there"},
    {"trust", "string", false, false,
     "only where nobody else can read what is asked: own, rented, named or any, or names besides, with commas (docs/KEYS.md)"},
    {"regions", "PlanRegion[]", false, false, "what is known of places' energy and water; of others industry averages are taken"},
    END,
};
#define PLAN_HOST                                                                                                                          \
    {"host", "string", true, true, "its devices; null: an endpoint"}, {"variant", "string", true, true, "of the model"},                   \
        {"format", "string", true, true, "of that variant"},                                                                               \
        {"scored", "boolean", true, true, "the model's score was measured on it; null: the model has none"},                               \
        {"weights_bytes", "integer", true, true, "size of the weights"},                                                                   \
        {"needs_bytes", "integer", true, true, "memory over all its devices"},                                                             \
        {"cache_bytes", "integer", true, true, "of that, what streams keep"},                                                              \
        {"kv_type", "string", true, true, "what the cache is kept as: f16, fp8, q8_0 or q4_0"},                                            \
        {"ranks", "integer", true, true, "devices that share each layer"},                                                                 \
        {"streams_max", "integer", true, true, "that would fit at this context"},                                                          \
        {"tokens_per_second", "number", true, true, "of one stream, predicted; null: not known"},                                          \
        {"total_tokens_per_second", "number", true, true, "of all, prompts included"},                                                     \
        {"most_tokens_per_second", "number", true, true, "the same over as many streams as fit"},                                          \
        {"prefill_tokens_per_second", "integer", true, true, "of prompts"},                                                                \
        {"first_token_ms", "integer", true, true, "after the usual prompt"},                                                               \
    {                                                                                                                                      \
        "uj_per_million", "integer", true, true, "millionths of a joule a million answered tokens, modelled"                               \
    }
static const api_field plan[] = {
    {"place", "string", true, false, "here, or its name"},
    {"name", "string", true, true, "what its seller calls it"},
    {"source", "string", true, true, "where its price stands: the list, and the line or entry in it"},
    {"region", "string", true, true, "where it stands; null: not known"},
    {"read_by", "string", true, false,
     "who can read what is asked there: own (its user alone), rented (whoever has the machine), named or any (whoever has the endpoint)"},
    {"owned_by", "string", true, true, "and whose it is; null: nobody was named"},
    {"spot", "boolean", true, false, "it may be taken away"},
    {"standing", "integer", true, true, "0 to 100, of places that others have and that were seen to work; null: it has none"},
    {"failing", "number", true, false,
     "the share of requests that is expected to fail there, and is paid for: by price places are compared with it"},
    PLAN_HOST,
    {"measured_runs", "integer", true, false,
     "of this engine, machine and family, which its speed is predicted by; 0: nothing was measured"},
    {"tokens_per_second_low", "number", true, true, "as the slowest of those runs says; null: none"},
    {"tokens_per_second_high", "number", true, true, "as the fastest of them says"},
    {"ul_per_million", "integer", true, true, "millionths of a litre a million answered tokens, modelled"},
    {"hour_nusd", "integer", true, true, "price of an hour; null: by the token"},
    {"nusd_per_million", "integer", true, true, "price of a million answered tokens with their prompts, at the load; null: not known"},
    {"ready_s", "integer", true, false, "until it is ready: image, weights, load"},
    {"start_nusd", "integer", true, false, "what that time costs"},
    END,
};
static const api_field plan_provider[] = {
    {"name", "string", true, false, "the provider's"},
    {"kind", "string", true, false, "runpod, vast, lambda or skypilot"},
    {"offers", "integer", true, true, "that it has; null: it did not say"},
    {"planned", "integer", true, false, "of those, with devices that the catalogue knows: the others are left out"},
    {"error", "string", true, true, "why it did not say what it offers; null: it did"},
    {"note", "string", true, true, "what is to be known before renting there, as that a machine cannot end itself; null: nothing"},
    END,
};
static const api_field plan_host[] = {PLAN_HOST, END};
static const api_field plan_refused[] = {
    {"reason", "string", true, false, "licence, region, spot, format, size, memory, speed, budget or time"},
    {"count", "integer", true, false, "offers that this was the first reason for"},
    {"nearest", "string", true, false, "the place that lacks least"},
    {"wanted", "integer", true, false, "of it: bytes, thousandths of a token a second, billionths of a dollar, seconds"},
    {"had", "integer", true, false, "likewise"},
    {"kv_type", "string", true, true, "of memory: the type of the cache with which it would fit there; null: none, or another reason"},
    {"why", "string", true, false, "the same in words"},
    END,
};
static const api_field plan_break_even[] = {
    {"tokens_per_second", "integer", true, true, "answered, above which the machine is cheaper; null: never"},
    {"why", "string", true, false, "the same in words"},
    {"rented", "Plan", true, false, "the machine with the least price an hour above 0"},
    {"hosted", "Plan", true, false, "the endpoint with the least price a million tokens"},
    END,
};
static const api_field plan_ranking[] = {
    {"model", "string", true, false, "its id"},
    {"context_tok", "integer", true, false, "that was planned for"},
    {"streams", "integer", true, false, "that were planned for"},
    {"fit", "integer", true, false, "places that would do"},
    {"why", "string", true, false, "why the first is the first"},
    {"plans", "Plan[]", true, false, "the best fifty, best first"},
    {"providers", "PlanProvider[]", true, false, "accounts that machines are rented of, whose offers stand beside those of the request"},
    {"refused", "PlanRefused[]", true, false, "why the others are not"},
    {"unpriced", "string[]", true, false, "endpoints that serve it and whose price nobody said: they are not ranked"},
    {"break_even", "PlanBreakEven", true, true, "when renting is cheaper than an endpoint; null: one of both is none"},
    {"smallest", "PlanHost", true, true,
     "the smallest host of the catalogue's devices that would do, whatever its price; null: none would"},
    END,
};
static const api_field problem[] = {
    {"type", "string", true, false, "what class of problem"},
    {"title", "string", true, false, "the class in words"},
    {"status", "integer", true, false, "the HTTP status"},
    {"detail", "string", true, false, "what failed and why"},
    END,
};

const api_shape api_shapes[] = {
    {"Empty", empty},
    {"SessionCreate", session_create},
    {"Session", session},
    {"ConsoleLink", console_link},
    {"Machine", machine},
    {"Licence", licence},
    {"Allows", allows},
    {"Frontier", frontier},
    {"Here", here},
    {"Variant", variant},
    {"ModelRun", model_run},
    {"Engine", engine},
    {"WeightsHere", weights_here},
    {"ModelKeeps", model_keeps},
    {"Model", model},
    {"Catalog", catalog},
    {"CatalogOwn", catalog_own},
    {"CatalogOwnCreate", catalog_own_create},
    {"CatalogUpdate", catalog_update},
    {"Progress", progress},
    {"Deployment", deployment},
    {"EngineLoad", engine_load},
    {"DeploymentCreate", deployment_create},
    {"DeploymentRoll", deployment_roll},
    {"Set", replica_set},
    {"DeploymentEvent", deployment_event},
    {"Weights", weights},
    {"WeightsImport", weights_import},
    {"Import", import_job},
    {"Key", key},
    {"NewKey", new_key},
    {"KeyCreate", key_create},
    {"KeyRotate", key_rotate},
    {"NodeTokenCreate", node_token_create},
    {"Provider", provider},
    {"DeploymentLimit", deployment_limit},
    {"DeploymentMachine", deployment_machine},
    {"ProviderCreate", provider_create},
    {"Rental", rental},
    {"RentalAct", rental_act},
    {"RentalQuote", rental_quote},
    {"RentalQuoteAsk", rental_quote_ask},
    {"RentalsTakenOver", rentals_taken_over},
    {"GuardAsk", guard_ask},
    {"GuardMachine", guard_machine},
    {"GuardTold", guard_told},
    {"ProviderPrice", provider_price},
    {"Honesty", honesty},
    {"HonestyCheck", honesty_check},
    {"HonestyTest", honesty_test},
    {"ProviderTokenizer", provider_tokenizer},
    {"TokenizerFile", tokenizer_file},
    {"Traffic", traffic},
    {"TrafficReplica", traffic_replica},
    {"Failover", failover},
    {"FailoverAttempt", failover_attempt},
    {"Node", node},
    {"NodeMeasured", node_measured},
    {"Standing", standing},
    {"NodeToken", node_token},
    {"GroupMember", group_member},
    {"Group", group},
    {"GroupCreate", group_create},
    {"OutcomeCreate", outcome_create},
    {"Usage", usage},
    {"UsageFailover", usage_failover},
    {"OfferList", offer_list},
    {"OfferListCreate", offer_list_create},
    {"Plan", plan},
    {"PlanBreakEven", plan_break_even},
    {"PlanCreate", plan_create},
    {"PlanHost", plan_host},
    {"PlanOffer", plan_offer},
    {"PlanProvider", plan_provider},
    {"PlanRanking", plan_ranking},
    {"PlanRefused", plan_refused},
    {"PlanRegion", plan_region},
    {"Problem", problem},
    {NULL, NULL},
};

const api_shape *api_shape_find(const char *name)
{
    const api_shape *s = api_shapes;
    while (s->name && strcmp(s->name, name) != 0) s++;
    return s;
}
