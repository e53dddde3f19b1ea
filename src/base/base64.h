/* Base64 (RFC 4648). Written with the standard alphabet; read with that or the URL-safe one, padded or not. */
#ifndef PING_BASE_BASE64_H
#define PING_BASE_BASE64_H

#include "base/buffer.h"

/* Bytes that hold whatever a text of this size decodes to. */
static inline size_t base64_decoded_bound(size_t text_size)
{
	return text_size / 4 * 3 + 3;
}

/* padded: with '=' up to a multiple of four. As buffer_append. */
enum error base64_append(struct buffer *output, struct slice data, bool padded);
/* `ret_data` holds base64_decoded_bound(text.size) bytes, and may be `text.data` itself. Padding, where there is any, must be
 * whole. ERROR_MALFORMED. */
enum error base64_decode(struct slice text, uint8_t *ret_data, size_t *ret_size);

#endif
