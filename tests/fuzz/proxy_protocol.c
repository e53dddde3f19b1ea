/* PROXY v2: a header asks for more, byte by byte, until it is whole or can't become one; then no further byte changes that. */
#include "codec/proxy_protocol.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_protocol whole, header;
	enum error outcome = proxy_protocol_parse(slice_make(data, size), &whole), before = ERROR_END;
	if (outcome == ERROR_OK)
		FUZZ_CHECK(whole.size >= PROXY_PROTOCOL_HEADER_SIZE && whole.size <= PROXY_PROTOCOL_MAX && whole.size <= size);
	for (size_t part = 0; part < size && part <= PROXY_PROTOCOL_MAX; part++) {
		enum error error = proxy_protocol_parse(slice_make(data, part), &header);
		FUZZ_CHECK(before == ERROR_END || error == before);
		FUZZ_CHECK(error == ERROR_END || error == outcome);
		if (error == ERROR_OK) {
			FUZZ_CHECK(header.size == whole.size && part >= whole.size);
			FUZZ_CHECK(header.has_source == whole.has_source);
			FUZZ_CHECK(!header.has_source || address_equal(&header.source, &whole.source));
		}
		before = error;
	}
	return 0;
}
