/* SQLite's files and memory, with our fault points in front: a thin layer over its own Unix layer. It changes nothing but that a point may
 * say "failed". */
#include "db_private.h"

#include "base/fault.h"
#include "base/mem.h"
#include <stdlib.h>

/* ---- memory: a word in front of each piece keeps its size, which SQLite asks for ---- */

#define HEAD 16

static void *memory_alloc(int bytes)
{
    char *p = fh_alloc((size_t)bytes + HEAD);
    if (!p) return NULL;
    *(int *)(void *)p = bytes;
    return p + HEAD;
}

static void memory_free(void *p)
{
    fh_free((char *)p - HEAD);
}

static void *memory_realloc(void *p, int bytes)
{
    char *n = fh_realloc((char *)p - HEAD, (size_t)bytes + HEAD);
    if (!n) return NULL;
    *(int *)(void *)n = bytes;
    return n + HEAD;
}

static int memory_size(void *p)
{
    return p ? *(int *)(void *)((char *)p - HEAD) : 0;
}

static int memory_round(int bytes)
{
    return (bytes + 7) & ~7;
}

static int memory_start(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void memory_stop(void *arg)
{
    (void)arg;
}

int fh_db_memory_install(void)
{
    static const sqlite3_mem_methods methods = {memory_alloc, memory_free,  memory_realloc, memory_size,
                                                memory_round, memory_start, memory_stop,    NULL};
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

/* ---- files ---- */

typedef struct file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
    sqlite3_io_methods methods;
} file;

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((file *)f)->real;
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *data, int bytes, sqlite3_int64 offset)
{
    if (fh_fault_strikes(FH_FAULT_READ)) return SQLITE_IOERR_READ;
    return real_of(f)->pMethods->xRead(real_of(f), data, bytes, offset);
}

static int file_write(sqlite3_file *f, const void *data, int bytes, sqlite3_int64 offset)
{
    if (fh_fault_strikes(FH_FAULT_WRITE)) return SQLITE_FULL;
    return real_of(f)->pMethods->xWrite(real_of(f), data, bytes, offset);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 bytes)
{
    if (fh_fault_strikes(FH_FAULT_WRITE)) return SQLITE_IOERR_TRUNCATE;
    return real_of(f)->pMethods->xTruncate(real_of(f), bytes);
}

static int file_sync(sqlite3_file *f, int flags)
{
    if (fh_fault_strikes(FH_FAULT_FSYNC)) return SQLITE_IOERR_FSYNC;
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int file_check_lock(sqlite3_file *f, int *ret)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int file_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, bytes, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods all_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    (void)v;
    file *mine = (file *)f;
    mine->base.pMethods = NULL; /* without methods SQLite does not close what did not open */
    if (fh_fault_strikes(FH_FAULT_OPEN)) return SQLITE_CANTOPEN;
    mine->real = (sqlite3_file *)(void *)(mine + 1);
    int rc = real_vfs->xOpen(real_vfs, name, mine->real, flags, ret_flags);
    if (rc != SQLITE_OK) {
        if (mine->real->pMethods) mine->real->pMethods->xClose(mine->real);
        return rc;
    }
    mine->methods = all_methods;
    mine->methods.iVersion = FH_MIN(2, mine->real->pMethods->iVersion); /* shared memory only where the layer below has it */
    mine->base.pMethods = &mine->methods;
    return SQLITE_OK;
}

int fh_db_vfs_install(void)
{
    static sqlite3_vfs mine;
    real_vfs = sqlite3_vfs_find(NULL);
    if (!real_vfs) return SQLITE_ERROR;
    mine = *real_vfs; /* all but opening is the layer's own */
    mine.zName = FH_DB_VFS;
    mine.szOsFile = real_vfs->szOsFile + (int)sizeof(file);
    mine.xOpen = vfs_open;
    mine.pNext = NULL;
    return sqlite3_vfs_register(&mine, 0);
}
