/* The tables that the truth lives in. Times are UTC nanoseconds since 1970. */
#include "db/schema.h"

static const fh_migration schema[] = {
    {1, "CREATE TABLE deployments("
        " id INTEGER PRIMARY KEY,"
        " name TEXT NOT NULL,"
        " model TEXT NOT NULL,"
        " variant TEXT NOT NULL,"
        " digest TEXT NOT NULL," /* of the weights; '' until they are chosen */
        " place TEXT NOT NULL,"
        " context_tok INTEGER NOT NULL,"
        " streams INTEGER NOT NULL,"
        " state TEXT NOT NULL,"
        " desired TEXT NOT NULL CHECK(desired IN ('running','stopped'))," /* what its owner wants */
        " reason TEXT NOT NULL,"
        " hint TEXT NOT NULL,"
        " restarts INTEGER NOT NULL DEFAULT 0,"
        " created_utc_ns INTEGER NOT NULL,"
        " changed_utc_ns INTEGER NOT NULL) STRICT;"
        "CREATE UNIQUE INDEX deployments_name ON deployments(name) WHERE state <> 'stopped';"
        "CREATE TABLE deployment_events(" /* each change of a state */
        " id INTEGER PRIMARY KEY,"
        " deployment INTEGER NOT NULL REFERENCES deployments(id) ON DELETE CASCADE,"
        " utc_ns INTEGER NOT NULL,"
        " from_state TEXT NOT NULL,"
        " to_state TEXT NOT NULL,"
        " reason TEXT NOT NULL,"
        " hint TEXT NOT NULL) STRICT;"
        "CREATE INDEX deployment_events_of ON deployment_events(deployment, id);"
        "CREATE TABLE acts(" /* what is done outside, written down before it is done; pid 0: begun, and not known to have happened */
        " id INTEGER PRIMARY KEY,"
        " deployment INTEGER NOT NULL REFERENCES deployments(id) ON DELETE CASCADE,"
        " kind TEXT NOT NULL,"
        " socket_path TEXT NOT NULL,"
        " begun_utc_ns INTEGER NOT NULL,"
        " pid INTEGER NOT NULL DEFAULT 0,"
        " start_ticks INTEGER NOT NULL DEFAULT 0,"
        " sandbox TEXT NOT NULL DEFAULT '',"
        " ended_utc_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
        "CREATE INDEX acts_open ON acts(deployment) WHERE ended_utc_ns = 0;"
        "CREATE TABLE keys("
        " id TEXT PRIMARY KEY," /* the first part of the key, which is no secret */
        " name TEXT NOT NULL,"
        " secret_sha256 BLOB NOT NULL,"
        " scopes TEXT NOT NULL,"
        " created_utc_ns INTEGER NOT NULL,"
        " expires_utc_ns INTEGER NOT NULL DEFAULT 0," /* 0: does not */
        " revoked_utc_ns INTEGER NOT NULL DEFAULT 0) STRICT;"},
    {2, "CREATE TABLE idempotency(" /* replies kept for a repeat of the same request */
        " token TEXT PRIMARY KEY,"  /* id of the key that asked, blank, Idempotency-Key */
        " digest BLOB NOT NULL,"    /* SHA-256 of the request */
        " status INTEGER NOT NULL,"
        " body TEXT NOT NULL,"
        " created_utc_ns INTEGER NOT NULL) STRICT;"},
    {3, "CREATE TABLE responses(" /* stored responses of the Responses API */
        " id TEXT PRIMARY KEY,"
        " key TEXT NOT NULL,"      /* id of the key that made it, which alone may read it */
        " previous TEXT NOT NULL," /* id of the response that it follows; '' */
        " created_utc_ns INTEGER NOT NULL,"
        " expires_utc_ns INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL,"
        " input TEXT NOT NULL," /* its own input, an array of items */
        " response TEXT NOT NULL) STRICT;"
        "CREATE INDEX responses_of_key ON responses(key, created_utc_ns, bytes);"
        "CREATE INDEX responses_by_age ON responses(created_utc_ns, bytes);"
        "CREATE INDEX responses_expiry ON responses(expires_utc_ns);"},
    {4, "ALTER TABLE keys ADD COLUMN requests_per_min INTEGER NOT NULL DEFAULT 0;" /* what a key may ask; 0: no limit */
        "ALTER TABLE keys ADD COLUMN tok_per_min INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE keys ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0;"},
    {5, "CREATE TABLE providers(" /* hosted endpoints that the operator named */
        " name TEXT PRIMARY KEY,"
        " url TEXT NOT NULL,"
        " secret TEXT NOT NULL," /* the key for it; '' for none */
        " kind TEXT NOT NULL,"
        " trust TEXT NOT NULL,"
        " created_utc_ns INTEGER NOT NULL,"
        " models TEXT NOT NULL) STRICT;"},                                     /* as GET /v1/models answered */
    {6, "ALTER TABLE keys ADD COLUMN models TEXT NOT NULL DEFAULT '';"         /* names split by commas that a key may ask for; '': all */
        "ALTER TABLE keys ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';" /* of a request that names none */
        "ALTER TABLE keys ADD COLUMN priority_most TEXT NOT NULL DEFAULT 'normal';"  /* the most that a request may name */
        "ALTER TABLE keys ADD COLUMN used_utc_ns INTEGER NOT NULL DEFAULT 0;"        /* of the last use, to the minute */
        "ALTER TABLE keys ADD COLUMN old_sha256 BLOB NOT NULL DEFAULT x'';"          /* of the text before the last rotation */
        "ALTER TABLE keys ADD COLUMN old_until_utc_ns INTEGER NOT NULL DEFAULT 0;"}, /* until when that opens */
    {7, "CREATE TABLE groups("
        " name TEXT PRIMARY KEY," /* stands for a list of models */
        " created_utc_ns INTEGER NOT NULL,"
        " models TEXT NOT NULL) STRICT;" /* JSON: with what their owner says of them */
        "CREATE TABLE outcomes("         /* how good models' answers were; id: in which order */
        " id INTEGER PRIMARY KEY,"
        " arm TEXT NOT NULL,"      /* what it was learned about */
        " features BLOB NOT NULL," /* the kind of request, in a few small numbers; nothing of what it said */
        " good INTEGER NOT NULL,"
        " weight INTEGER NOT NULL) STRICT;"
        "CREATE INDEX outcomes_of ON outcomes(arm, id);"},
    {8, "ALTER TABLE keys ADD COLUMN prefer TEXT NOT NULL DEFAULT 'balance';"}, /* of a request that says nothing */
    {9, "CREATE TABLE usage("                                                   /* what requests used: a block of records a row */
        " id INTEGER PRIMARY KEY,"
        " requests BLOB NOT NULL," /* a hash of 8 bytes of each one's id, to find it by */
        " count INTEGER NOT NULL,"
        " from_utc_ns INTEGER NOT NULL,"
        " to_utc_ns INTEGER NOT NULL,"
        " records BLOB NOT NULL) STRICT;"},                                          /* src/gateway/usage_pack.c says how */
    {10, "ALTER TABLE providers ADD COLUMN tokenizers TEXT NOT NULL DEFAULT '[]';"}, /* JSON: files that its models are counted by */
    {11, "ALTER TABLE providers ADD COLUMN region TEXT NOT NULL DEFAULT '';"         /* where it stands; '': not known */
         "ALTER TABLE keys ADD COLUMN regions TEXT NOT NULL DEFAULT '';"},           /* where its requests may be answered; '': anywhere */
    {12, "ALTER TABLE deployments ADD COLUMN wanted_place TEXT NOT NULL DEFAULT 'here';"}, /* '': any, 'pool', or the name of one */
    {13, "ALTER TABLE deployments ADD COLUMN engine TEXT NOT NULL DEFAULT 'freehold';"},   /* a row of the catalogue */
    {14, "ALTER TABLE providers ADD COLUMN prices TEXT NOT NULL DEFAULT '[]';"},           /* JSON: what its tokens cost */
    {15, "CREATE TABLE honesty(" /* what was found out about models of hosted endpoints */
         " provider TEXT NOT NULL,"
         " model TEXT NOT NULL,"
         " record TEXT NOT NULL," /* JSON: src/honesty/record.c says how */
         " checked_utc_ns INTEGER NOT NULL,"
         " PRIMARY KEY(provider, model)) STRICT;"},
    {16, "CREATE TABLE nodes("                    /* machines of others that joined the pool */
         " id INTEGER PRIMARY KEY AUTOINCREMENT," /* never used again: certificates are made out to it */
         " name TEXT NOT NULL,"
         " state TEXT NOT NULL CHECK(state IN ('joined','draining','removed')),"
         " certificate_sha256 BLOB NOT NULL DEFAULT x''," /* that it came with last; x'': it has not come yet */
         " next_sha256 BLOB NOT NULL DEFAULT x'',"        /* that was made for it and that it has not come with yet */
         " until_utc_ns INTEGER NOT NULL DEFAULT 0,"      /* end of the later one of them */
         " ask_micro INTEGER NOT NULL,"                   /* an hour, in millionths of the currency; 0: it asks for nothing */
         " ask_currency TEXT NOT NULL,"
         " facts TEXT NOT NULL DEFAULT '{}'," /* JSON: what it says of itself */
         " joined_utc_ns INTEGER NOT NULL,"
         " seen_utc_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
         "CREATE UNIQUE INDEX nodes_name ON nodes(name) WHERE state <> 'removed';"
         "CREATE TABLE join_tokens("
         " secret_sha256 BLOB PRIMARY KEY,"
         " created_utc_ns INTEGER NOT NULL,"
         " expires_utc_ns INTEGER NOT NULL,"
         " key_sha256 BLOB NOT NULL DEFAULT x''," /* of the machine that used it; x'': none has */
         " node INTEGER NOT NULL DEFAULT 0) STRICT;"},
    {17, "CREATE TABLE rent_identity(" /* who rents, and where this database lies */
         " id INTEGER PRIMARY KEY CHECK(id = 1),"
         " installation TEXT NOT NULL,"
         " epoch TEXT NOT NULL,"
         " place TEXT NOT NULL) STRICT;"
         "CREATE TABLE rent_epochs(" /* a new one whenever the database was copied or put back */
         " epoch TEXT PRIMARY KEY,"
         " began_utc_ns INTEGER NOT NULL,"
         " ours INTEGER NOT NULL) STRICT;" /* its machines may be ended */
         "CREATE TABLE rentals("           /* a machine that somebody wants */
         " id INTEGER PRIMARY KEY,"
         " provider TEXT NOT NULL,"
         " epoch TEXT NOT NULL,"
         " device TEXT NOT NULL,"
         " gpus INTEGER NOT NULL,"
         " region TEXT NOT NULL,"
         " spot INTEGER NOT NULL,"
         " max_hour_micro INTEGER NOT NULL,"
         " limit_s INTEGER NOT NULL,"
         " limit_micro INTEGER NOT NULL,"
         " look_s INTEGER NOT NULL,"
         " image TEXT NOT NULL,"
         " run TEXT NOT NULL,"
         " wanted INTEGER NOT NULL,"
         " over INTEGER NOT NULL,"
         " reason TEXT NOT NULL,"
         " asked_utc_ns INTEGER NOT NULL) STRICT;"
         "CREATE TABLE rent_acts(" /* each try to get one, written down before the provider is asked */
         " id INTEGER PRIMARY KEY AUTOINCREMENT,"
         " provider TEXT NOT NULL,"
         " rental INTEGER NOT NULL," /* 0: of none */
         " epoch TEXT NOT NULL,"
         " phase TEXT NOT NULL,"
         " offer TEXT NOT NULL,"
         " machine TEXT NOT NULL," /* '': not known */
         " address TEXT NOT NULL,"
         " reason TEXT NOT NULL,"
         " hour_micro INTEGER NOT NULL,"
         " asked_utc_ns INTEGER NOT NULL,"
         " held_utc_ns INTEGER NOT NULL,"
         " started_utc_ns INTEGER NOT NULL,"
         " running_utc_ns INTEGER NOT NULL,"
         " alive_utc_ns INTEGER NOT NULL,"
         " gone_utc_ns INTEGER NOT NULL,"
         " charged_micro INTEGER NOT NULL) STRICT;"
         "CREATE INDEX rent_acts_open ON rent_acts(provider) WHERE phase <> 'over';"
         "ALTER TABLE providers ADD COLUMN key_file TEXT NOT NULL DEFAULT '';"}, /* of one that machines are rented of: its secret is '' */
    {18, "ALTER TABLE providers ADD COLUMN canaries_per_day INTEGER NOT NULL DEFAULT 0;"}, /* that are sent to it by themselves */
    {19, "CREATE TABLE machine_orders(" /* machines that deployments want of a provider, written down before it is asked */
         " id INTEGER PRIMARY KEY AUTOINCREMENT,"
         " deployment INTEGER NOT NULL,"
         " supply TEXT NOT NULL,"
         " node TEXT NOT NULL," /* the name that its machine joins by; '' until it is known */
         " wanted INTEGER NOT NULL DEFAULT 1,"
         " opened_utc_ns INTEGER NOT NULL,"
         " over_utc_ns INTEGER NOT NULL DEFAULT 0,"
         " reason TEXT NOT NULL DEFAULT '',"
         " spent_micro INTEGER NOT NULL DEFAULT 0,"
         " currency TEXT NOT NULL DEFAULT '') STRICT;"
         "CREATE INDEX machine_orders_open ON machine_orders(over_utc_ns) WHERE over_utc_ns = 0;"
         "CREATE INDEX machine_orders_node ON machine_orders(node);"
         "ALTER TABLE deployments ADD COLUMN max_hour_micro INTEGER NOT NULL DEFAULT 0;" /* what its machine may cost; 0: no limit */
         "ALTER TABLE deployments ADD COLUMN limit_s INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE deployments ADD COLUMN limit_micro INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE deployments ADD COLUMN limit_currency TEXT NOT NULL DEFAULT '';"
         "ALTER TABLE providers ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';"}, /* what its kind wants to know, by name */
    {20, "CREATE TABLE sets(" /* what somebody wants running of one model, in replicas */
         " id INTEGER PRIMARY KEY AUTOINCREMENT,"
         " name TEXT NOT NULL UNIQUE,"
         " model TEXT NOT NULL," /* its id, the variant and digest of its weights: */
         " variant TEXT NOT NULL,"
         " digest TEXT NOT NULL,"
         " place TEXT NOT NULL," /* as it was asked for */
         " engine TEXT NOT NULL,"
         " context_tok INTEGER NOT NULL,"
         " streams INTEGER NOT NULL,"
         " max_hour_micro INTEGER NOT NULL," /* as of deployments */
         " limit_s INTEGER NOT NULL,"
         " limit_micro INTEGER NOT NULL,"
         " limit_currency TEXT NOT NULL,"
         " min INTEGER NOT NULL,"
         " max INTEGER NOT NULL,"
         " idle_s INTEGER NOT NULL,"
         " wanted INTEGER NOT NULL," /* replicas, for now */
         " why TEXT NOT NULL,"
         " desired TEXT NOT NULL CHECK(desired IN ('running','stopped'))," /* stopped: gone once its last replica is */
         " generation INTEGER NOT NULL,"                                   /* of its shape: replicas of an earlier one are replaced */
         " created_utc_ns INTEGER NOT NULL,"
         " changed_utc_ns INTEGER NOT NULL) STRICT;"
         "ALTER TABLE deployments ADD COLUMN set_id INTEGER NOT NULL DEFAULT 0;" /* 0: of none */
         "ALTER TABLE deployments ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"},
    {21, "ALTER TABLE honesty ADD COLUMN work TEXT NOT NULL DEFAULT '{}';"},   /* JSON: how it has worked; src/honesty/work.c says how */
    {22, "ALTER TABLE rentals ADD COLUMN order_id INTEGER NOT NULL DEFAULT 0;" /* for whom; 0: nobody's */
         "ALTER TABLE rentals ADD COLUMN gpu_bytes INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE rentals ADD COLUMN ram_bytes INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE rentals ADD COLUMN arrived INTEGER NOT NULL DEFAULT 0;" /* its machine is or was in use */
         "ALTER TABLE rentals ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;"    /* and went by itself */
         "CREATE UNIQUE INDEX rentals_order ON rentals(order_id) WHERE order_id <> 0;"},
    {23, "ALTER TABLE nodes ADD COLUMN measured TEXT NOT NULL DEFAULT '{}';"}, /* JSON: by the server; src/pool/measured.c says what */
    {24, "ALTER TABLE machine_orders ADD COLUMN limit_s INTEGER NOT NULL DEFAULT 0;" /* that it was asked for with; 0: none */
         "ALTER TABLE machine_orders ADD COLUMN limit_micro INTEGER NOT NULL DEFAULT 0;"},
    {25, "ALTER TABLE deployments ADD COLUMN offer TEXT NOT NULL DEFAULT '';"      /* picked of what its provider offers; '': none was */
         "ALTER TABLE deployments ADD COLUMN offer_kind TEXT NOT NULL DEFAULT '';" /* what may stand for it */
         "ALTER TABLE sets ADD COLUMN offer TEXT NOT NULL DEFAULT '';"
         "ALTER TABLE sets ADD COLUMN offer_kind TEXT NOT NULL DEFAULT '';"
         "ALTER TABLE rentals ADD COLUMN offer TEXT NOT NULL DEFAULT '';"
         "ALTER TABLE rentals ADD COLUMN offer_kind TEXT NOT NULL DEFAULT '';"},
    {26, "ALTER TABLE keys ADD COLUMN no_pages INTEGER NOT NULL DEFAULT 0;"}, /* nothing computed of its prompts lies on a disk */
    {27, "ALTER TABLE keys ADD COLUMN trust TEXT NOT NULL DEFAULT '';" /* who may read its requests, as base/trust.h says it; '': each says
                                                                          itself */
         "ALTER TABLE keys ADD COLUMN owner TEXT NOT NULL DEFAULT '';" /* who pays for them */
         "ALTER TABLE deployments ADD COLUMN trust TEXT NOT NULL DEFAULT '';" /* who may have it, likewise; '': anybody */
         "ALTER TABLE sets ADD COLUMN trust TEXT NOT NULL DEFAULT '';"
         "ALTER TABLE nodes ADD COLUMN owner TEXT NOT NULL DEFAULT '';" /* whose it is, by the token that it came with */
         "ALTER TABLE join_tokens ADD COLUMN owner TEXT NOT NULL DEFAULT '';"},
    {28, "ALTER TABLE join_tokens ADD COLUMN name TEXT NOT NULL DEFAULT '';"},  /* a grant: of the machine that its key is to be; nobody
                                                                                    knows its secret. '': a token */
    {29, "ALTER TABLE deployments ADD COLUMN kv_type TEXT NOT NULL DEFAULT '';" /* what its cache is kept as; '': as its engine does */
         "ALTER TABLE sets ADD COLUMN kv_type TEXT NOT NULL DEFAULT '';"},
};

const fh_migration *fh_db_schema(size_t *ret_count)
{
    *ret_count = FH_COUNT(schema);
    return schema;
}
