/* gzip and zstd: what is compressed comes back; what comes from outside gives as many bytes as are allowed at most, whatever it
 * says of itself. The first byte chooses.
 */
#include "fuzz.h"
#include "rpc/protocol.h"

enum { LIMIT = 64 << 10 };

static void check_both_ways(const struct rpc_compression *compression, struct slice bytes)
{
	struct buffer packed, plain;
	buffer_init(&packed, SIZE_MAX);
	buffer_init(&plain, bytes.size);
	FUZZ_CHECK(compression->compress(bytes, &packed) == ERROR_OK);
	FUZZ_CHECK(compression->decompress(buffer_slice(&packed), &plain) == ERROR_OK);
	FUZZ_CHECK(plain.size == bytes.size && (plain.size == 0 || memcmp(plain.data, bytes.data, plain.size) == 0));
	/* A byte less than it takes, and it is refused. */
	buffer_release(&plain);
	plain.limit = bytes.size == 0 ? 0 : bytes.size - 1;
	FUZZ_CHECK(bytes.size == 0 || compression->decompress(buffer_slice(&packed), &plain) == ERROR_TOO_LARGE);
	buffer_release(&packed);
	buffer_release(&plain);
}

static void read_foreign(const struct rpc_compression *compression, struct slice bytes)
{
	struct buffer plain;
	buffer_init(&plain, LIMIT);
	enum error error = compression->decompress(bytes, &plain);
	FUZZ_CHECK(error == ERROR_OK || error == ERROR_MALFORMED || error == ERROR_TOO_LARGE || error == ERROR_NO_MEMORY);
	FUZZ_CHECK(plain.size <= LIMIT);
	buffer_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct rpc_compression *compression = &rpc_compressions[data[0] % rpc_compression_count];
	struct slice bytes = slice_make(data + 1, size - 1);
	read_foreign(compression, bytes);
	check_both_ways(compression, bytes);
	return 0;
}
