#include "app/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

bool standard_files_fill(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && close(fd) == 0;
}
