/* gzip (RFC 1952) by zlib and zstd (RFC 8878) by libzstd; "identity" is none. */
#include <zlib.h>
#include <zstd.h>

#include "rpc/protocol.h"

enum {
	PIECE_BYTES = 16 << 10,
	GZIP_WINDOW = 15 + 16,
	GZIP_LEVEL = 1,
	ZSTD_LEVEL = 1,
	ZSTD_WINDOW_LOG_MAX = 23,
	SHOWN_BYTES = 40
};

static enum error gzip_compress(struct slice input, struct buffer *output)
{
	z_stream stream = {.next_in = (uint8_t *)input.data, .avail_in = (uInt)input.size};
	if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return ERROR_NO_MEMORY;
	size_t bound = deflateBound(&stream, (uLong)input.size);
	enum error error = buffer_reserve(output, bound);
	if (error == ERROR_OK) {
		stream.next_out = output->data + output->size;
		stream.avail_out = (uInt)bound;
		error = deflate(&stream, Z_FINISH) == Z_STREAM_END ? ERROR_OK : ERROR_INTERNAL;
	}
	if (error == ERROR_OK)
		output->size += stream.total_out;
	deflateEnd(&stream);
	return error;
}

static enum error gzip_decompress(struct slice input, struct buffer *output)
{
	uint8_t piece[PIECE_BYTES];
	z_stream stream = {.next_in = (uint8_t *)input.data, .avail_in = (uInt)input.size};
	if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return ERROR_NO_MEMORY;
	int status = Z_OK;
	enum error error = ERROR_OK;
	while (error == ERROR_OK && status == Z_OK) {
		stream.next_out = piece;
		stream.avail_out = sizeof piece;
		status = inflate(&stream, Z_NO_FLUSH);
		error = buffer_append(output, piece, sizeof piece - stream.avail_out);
		if (status == Z_STREAM_END && stream.avail_in > 0)
			status = inflateReset(&stream); /* RFC 1952, 2.2: members may follow one another */
		if (status == Z_OK && stream.avail_in == 0 && stream.avail_out > 0)
			break; /* cut short */
	}
	if (error == ERROR_OK && (status != Z_STREAM_END || stream.avail_in > 0))
		error = status == Z_MEM_ERROR ? ERROR_NO_MEMORY : ERROR_MALFORMED;
	inflateEnd(&stream);
	return error;
}

static enum error zstd_compress(struct slice input, struct buffer *output)
{
	size_t bound = ZSTD_compressBound(input.size);
	enum error error = buffer_reserve(output, bound);
	if (error != ERROR_OK)
		return error;
	size_t size = ZSTD_compress(output->data + output->size, bound, input.data, input.size, ZSTD_LEVEL);
	if (ZSTD_isError(size))
		return ERROR_NO_MEMORY;
	output->size += size;
	return ERROR_OK;
}

static enum error zstd_pieces(ZSTD_DCtx *context, struct slice input, struct buffer *output)
{
	uint8_t piece[PIECE_BYTES];
	ZSTD_inBuffer in = {input.data, input.size, 0};
	for (;;) {
		ZSTD_outBuffer out = {piece, sizeof piece, 0};
		size_t left = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(left))
			return ERROR_MALFORMED;
		enum error error = buffer_append(output, piece, out.pos);
		if (error != ERROR_OK)
			return error;
		bool over = in.pos == in.size && out.pos < out.size;
		if (over)
			return left == 0 ? ERROR_OK : ERROR_MALFORMED;
	}
}

static enum error zstd_decompress(struct slice input, struct buffer *output)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	if (context == NULL)
		return ERROR_NO_MEMORY;
	/* A frame says how much memory its window takes: RFC 8878, 3.1.1.1.2 lets us refuse past 8 MiB. */
	ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	enum error error = zstd_pieces(context, input, output);
	ZSTD_freeDCtx(context);
	return error;
}

const struct rpc_compression rpc_compressions[] = {
	{"gzip", gzip_compress, gzip_decompress},
	{"zstd", zstd_compress, zstd_decompress},
};
const size_t rpc_compression_count = sizeof rpc_compressions / sizeof rpc_compressions[0];

static const struct rpc_compression *find(struct slice name)
{
	for (size_t i = 0; i < rpc_compression_count; i++)
		if (slice_equal_ignoring_case(name, rpc_compressions[i].name))
			return &rpc_compressions[i];
	return NULL;
}

enum error rpc_compression_find(const struct slice *name, const struct rpc_compression **ret_compression, struct error_note *note)
{
	if (name == NULL || name->size == 0 || slice_equal_ignoring_case(*name, "identity"))
		return ERROR_OK;
	*ret_compression = find(*name);
	if (*ret_compression != NULL)
		return ERROR_OK;
	return error_noted(note, ERROR_UNIMPLEMENTED,
			   "unknown compression \"%.*s\": supported encodings are gzip, zstd, identity",
			   name->size > SHOWN_BYTES ? SHOWN_BYTES : (int)name->size, (const char *)name->data);
}

bool rpc_is_zero_weight(struct slice parameter)
{
	parameter = slice_trim(parameter);
	if (parameter.size < 3 || strncasecmp((const char *)parameter.data, "q=0", 3) != 0)
		return false;
	for (size_t i = 3; i < parameter.size; i++)
		if (parameter.data[i] != '.' && parameter.data[i] != '0')
			return false;
	return true;
}

const struct rpc_compression *rpc_compression_choose(const struct slice *accept)
{
	struct slice rest = accept == NULL ? slice_make(NULL, 0) : *accept;
	while (rest.size > 0) {
		struct slice parameters = slice_take(&rest, ',');
		struct slice name = slice_trim(slice_take(&parameters, ';'));
		const struct rpc_compression *compression = find(name);
		if (compression != NULL && !rpc_is_zero_weight(parameters))
			return compression;
	}
	return NULL;
}
