/* The data directory: made where it is missing, one process at a time, and clear words where it cannot be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/sqlite/directory.h"
#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct folder folder;

static void assert_refused(const char *path, enum error expected, const char *words)
{
	struct data_directory *directory = NULL;
	struct error_note note = {""};
	enum error error = data_directory_open(path, &directory, &note);
	if (error != expected || strstr(note.text, path) == NULL || strstr(note.text, words) == NULL || directory != NULL)
		fail_msg("%s: \"%s\"", error_name(error), note.text);
}

static void it_is_made_with_its_parents_for_its_owner_alone(void **state)
{
	(void)state;
	struct data_directory *directory;
	struct stat status;
	char path[128];
	mode_t mask = umask(0);
	snprintf(path, sizeof path, "%s/a/b/c", folder.path);
	assert_int_equal(data_directory_open(path, &directory, NULL), ERROR_OK);
	umask(mask);
	assert_string_equal(data_directory_path(directory), path);
	data_directory_close(directory);
	for (int parents = 0; parents < 3; parents++) {
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, 0700);
		*strrchr(path, '/') = 0;
	}
}

static void one_that_is_there_is_used_as_it_is(void **state)
{
	(void)state;
	struct data_directory *directory;
	struct stat status;
	char path[128];
	snprintf(path, sizeof path, "%s/", folder.path);
	assert_int_equal(chmod(folder.path, 0755), 0);
	assert_int_equal(data_directory_open(path, &directory, NULL), ERROR_OK);
	data_directory_close(directory);
	assert_int_equal(stat(folder.path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0755);
}

static void a_second_one_is_refused_and_told_the_pid_of_the_first(void **state)
{
	(void)state;
	struct data_directory *directory;
	char pid[32];
	snprintf(pid, sizeof pid, "process %d;", (int)getpid());
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	assert_refused(folder.path, ERROR_LOCKED, pid);
	assert_refused(folder.path, ERROR_LOCKED, "--data-dir");
	data_directory_close(directory);
}

static void the_lock_goes_with_its_holder_however_that_ends(void **state)
{
	(void)state;
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct data_directory *directory;
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
		if (data_directory_open(folder.path, &directory, NULL) != ERROR_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	char pid[32];
	snprintf(pid, sizeof pid, "process %d;", (int)child);
	assert_refused(folder.path, ERROR_LOCKED, pid);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	struct data_directory *directory;
	assert_int_equal(data_directory_open(folder.path, &directory, NULL), ERROR_OK);
	data_directory_close(directory);
	close(ready[0]);
	close(ready[1]);
}

static void a_file_in_its_place_is_refused(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "%s/file", folder.path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_refused(path, ERROR_IO, "is not a directory");
	strcat(path, "/below");
	assert_refused(path, ERROR_IO, "is not a directory");
}

static void an_empty_path_is_refused(void **state)
{
	(void)state;
	assert_refused("", ERROR_IO, "");
}

/* Root may write anywhere: a child that is nobody tries. */
static void one_that_cannot_be_written_is_refused_with_a_way_out(void **state)
{
	(void)state;
	assert_int_equal(chmod(folder.path, 0555), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error_note note = {""};
		struct data_directory *directory;
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(2);
		enum error error = data_directory_open(folder.path, &directory, &note);
		_exit(error == ERROR_READ_ONLY && strstr(note.text, folder.path) != NULL &&
				      strstr(note.text, "--data-dir") != NULL
			      ? 0
			      : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(folder.path, 0700), 0);
}

static int begin(void **state)
{
	(void)state;
	folder_make(&folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_made_with_its_parents_for_its_owner_alone),
		TEST(one_that_is_there_is_used_as_it_is),
		TEST(a_second_one_is_refused_and_told_the_pid_of_the_first),
		TEST(the_lock_goes_with_its_holder_however_that_ends),
		TEST(a_file_in_its_place_is_refused),
		TEST(an_empty_path_is_refused),
		TEST(one_that_cannot_be_written_is_refused_with_a_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
