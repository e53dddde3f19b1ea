#include "faulty_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

struct faults faults;

static sqlite3_vfs *system_vfs;

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real; /* lies behind this */
};

void faults_set(struct faults set)
{
	faults = set;
}

static bool fails(int kind)
{
	if ((faults.kinds & kind) == 0)
		return false;
	faults.calls++;
	return faults.after > 0 && (faults.calls == faults.after || (faults.for_ever && faults.calls > faults.after));
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct faulty_file *)file)->real;
}

static int faulty_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int faulty_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
	return fails(FAULT_READ) ? SQLITE_IOERR_READ : real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int faulty_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
	bool failing = fails(FAULT_WRITE);
	int code = real_of(file)->pMethods->xWrite(real_of(file), data, failing ? size / 2 : size, offset);
	if (!failing)
		return code;
	return faults.disk_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return fails(FAULT_WRITE) ? SQLITE_IOERR_TRUNCATE : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* Nothing here outlives the machine, so nothing is synced. */
static int faulty_sync(sqlite3_file *file, int flags)
{
	(void)file;
	(void)flags;
	return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return fails(FAULT_READ) ? SQLITE_IOERR_FSTAT : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int faulty_lock(sqlite3_file *file, int lock)
{
	return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int faulty_unlock(sqlite3_file *file, int lock)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int faulty_check_lock(sqlite3_file *file, int *locked)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), locked);
}

static int faulty_control(sqlite3_file *file, int op, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int faulty_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int faulty_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
	return fails(FAULT_WRITE) ? SQLITE_IOERR_SHMMAP
				  : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void faulty_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int faulty_shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, /* without mmap */
	.xClose = faulty_close,
	.xRead = faulty_read,
	.xWrite = faulty_write,
	.xTruncate = faulty_truncate,
	.xSync = faulty_sync,
	.xFileSize = faulty_size,
	.xLock = faulty_lock,
	.xUnlock = faulty_unlock,
	.xCheckReservedLock = faulty_check_lock,
	.xFileControl = faulty_control,
	.xSectorSize = faulty_sector_size,
	.xDeviceCharacteristics = faulty_characteristics,
	.xShmMap = faulty_shm_map,
	.xShmLock = faulty_shm_lock,
	.xShmBarrier = faulty_shm_barrier,
	.xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	struct faulty_file *faulty = (struct faulty_file *)file;
	faulty->base.pMethods = NULL;
	faulty->real = (sqlite3_file *)(faulty + 1);
	if (fails(FAULT_READ))
		return SQLITE_CANTOPEN;
	int code = system_vfs->xOpen(system_vfs, name, faulty->real, flags, ret_flags);
	if (code == SQLITE_OK)
		faulty->base.pMethods = &methods;
	return code;
}

void faulty_vfs_install(void)
{
	static sqlite3_vfs vfs;
	if (system_vfs != NULL)
		return;
	system_vfs = sqlite3_vfs_find(NULL);
	vfs = *system_vfs;
	vfs.zName = "faulty";
	vfs.szOsFile = (int)sizeof(struct faulty_file) + system_vfs->szOsFile;
	vfs.xOpen = faulty_open;
	sqlite3_vfs_register(&vfs, 1);
}
