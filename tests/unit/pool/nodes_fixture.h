/* A pool's machines in a database of their own, for one test. */
#ifndef FH_TEST_NODES_FIXTURE_H
#define FH_TEST_NODES_FIXTURE_H

#include "base/clock.h"
#include "db/schema.h"
#include "nodes_private.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW  (1790000000LL * FH_NS_PER_S)
#define HOUR (3600 * FH_NS_PER_S)

static char folder[64];
static fh_db *db;
static fh_nodes *nodes;

static int fresh(void **state)
{
    char url[128];
    strcpy(folder, "/tmp/fh-nodes-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(url, sizeof url, "sqlite:%s/db", folder);
    if (fh_db_open(&db, url, NULL) || fh_db_migrate_schema(db, NULL)) return -1;
    return fh_nodes_open(&nodes, db, NOW, NULL);
}

static int clean(void **state)
{
    fh_nodes_close(nodes);
    fh_db_close(db);
    return fh_dir_remove(folder, NULL);
}

#endif
