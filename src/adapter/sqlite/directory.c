#include "adapter/sqlite/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct data_directory {
	char *path;
	struct log_tail *tail;
	int lock_fd;
};

/* mkdir -p. What is there already is left as it is. */
static int make_directories(const char *path)
{
	char partial[PATH_MAX];
	size_t size = strlen(path);
	if (size == 0 || size >= sizeof partial) {
		errno = size == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	for (size_t i = 1; i <= size; i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		memcpy(partial, path, i);
		partial[i] = 0;
		struct stat status;
		if (stat(partial, &status) == 0 && S_ISDIR(status.st_mode))
			continue;
		if (mkdir(partial, 0700) != 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* A file operation in the data directory failed with errno. */
static enum error directory_failure(const char *path, const char *what, struct error_note *note)
{
	int cause = errno;
	const char *text = strerror(cause);
	switch (cause) {
	case EROFS:
		return error_noted(note, ERROR_READ_ONLY,
				   "data directory %s: %s: %s; choose one on a writable file system (--data-dir)", path, what,
				   text);
	case EACCES:
	case EPERM:
		return error_noted(
			note, ERROR_READ_ONLY,
			"data directory %s: %s: %s; give this user the right to write it, or choose another (--data-dir)", path,
			what, text);
	case ENOTDIR:
		return error_noted(note, ERROR_IO,
				   "%s is not a directory; remove it or choose another data directory (--data-dir)", path);
	case ENOSPC:
	case EDQUOT:
		return error_noted(note, ERROR_DISK_FULL, "data directory %s: %s: %s; make room", path, what, text);
	default:
		return error_noted(note, ERROR_IO, "data directory %s: %s: %s", path, what, text);
	}
}

static enum error locked_by_other(const char *path, int fd, struct error_note *note)
{
	char pid[16];
	ssize_t size = pread(fd, pid, sizeof pid - 1, 0);
	pid[size > 0 ? size : 0] = 0;
	pid[strcspn(pid, "\n")] = 0;
	return error_noted(
		note, ERROR_LOCKED,
		"data directory %s is in use by process %s; stop that process or choose another directory (--data-dir)", path,
		pid[0] == 0 ? "(PID not known)" : pid);
}

/* The file stays when the lock goes: removing it could pull it from under the next holder. */
static enum error take_lock(const char *path, int *ret_fd, struct error_note *note)
{
	char file[PATH_MAX];
	if (snprintf(file, sizeof file, "%s/lock", path) >= (int)sizeof file) {
		errno = ENAMETOOLONG;
		return directory_failure(path, "the lock file", note);
	}
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return directory_failure(path, "cannot open the lock file", note);
	enum error error = ERROR_OK;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		error = errno == EWOULDBLOCK ? locked_by_other(path, fd, note) : directory_failure(path, "cannot lock", note);
	} else {
		char pid[16];
		int size = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
		if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)size, 0) != size)
			error = directory_failure(path, "cannot write the lock file", note);
	}
	if (error != ERROR_OK) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return ERROR_OK;
}

enum error data_directory_open(const char *path, struct data_directory **ret_directory, struct error_note *note)
{
	if (make_directories(path) != 0)
		return directory_failure(path, "cannot make it", note);
	struct stat status;
	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
		errno = ENOTDIR;
		return directory_failure(path, "cannot use it", note);
	}
	struct data_directory *directory = calloc(1, sizeof *directory);
	if (directory == NULL)
		return ERROR_NO_MEMORY;
	directory->lock_fd = -1;
	directory->path = strdup(path);
	enum error error = directory->path == NULL ? ERROR_NO_MEMORY : log_tail_create(&directory->tail);
	if (error == ERROR_OK)
		error = take_lock(path, &directory->lock_fd, note);
	if (error != ERROR_OK) {
		data_directory_close(directory);
		return error;
	}
	*ret_directory = directory;
	return ERROR_OK;
}

void data_directory_close(struct data_directory *directory)
{
	if (directory == NULL)
		return;
	if (directory->lock_fd >= 0)
		close(directory->lock_fd);
	log_tail_destroy(directory->tail);
	free(directory->path);
	free(directory);
}

const char *data_directory_path(const struct data_directory *directory)
{
	return directory->path;
}

struct log_tail *data_directory_tail(struct data_directory *directory)
{
	return directory->tail;
}
