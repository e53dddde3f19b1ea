/* Addresses and networks: what parses has one canonical text that parses back; the C library agrees. */
#include <arpa/inet.h>

#include "base/address.h"
#include "fuzz.h"

static void check_address(struct slice text)
{
	struct address address, again;
	char canonical[ADDRESS_TEXT_SIZE], twice[ADDRESS_TEXT_SIZE];
	if (address_parse(text, &address) != ERROR_OK)
		return;
	size_t size = address_format(&address, canonical);
	FUZZ_CHECK(size == strlen(canonical) && size < ADDRESS_TEXT_SIZE);
	FUZZ_CHECK(address_parse(slice_make(canonical, size), &again) == ERROR_OK);
	FUZZ_CHECK(address_equal(&address, &again));
	address_format(&again, twice);
	FUZZ_CHECK(strcmp(canonical, twice) == 0);
}

static void check_against_libc(struct slice text)
{
	char copy[ADDRESS_TEXT_SIZE];
	uint8_t theirs[16];
	if (text.size >= sizeof copy || memchr(text.data, 0, text.size) != NULL || memchr(text.data, '%', text.size) != NULL)
		return;
	memcpy(copy, text.data, text.size);
	copy[text.size] = 0;
	struct address address;
	bool parsed = address_parse(text, &address) == ERROR_OK;
	if (inet_pton(AF_INET, copy, theirs) == 1) {
		struct address expected = address_from_ipv4(theirs);
		FUZZ_CHECK(parsed && address_equal(&address, &expected));
	} else {
		FUZZ_CHECK(parsed == (inet_pton(AF_INET6, copy, theirs) == 1));
		FUZZ_CHECK(!parsed || memcmp(address.bytes, theirs, 16) == 0);
	}
}

static void check_network(struct slice text)
{
	struct address_network network;
	struct error_note note = {""};
	if (address_network_parse(text, &network, &note) != ERROR_OK) {
		FUZZ_CHECK(note.text[0] != 0);
		return;
	}
	FUZZ_CHECK(network.prefix_bits <= 128);
	FUZZ_CHECK(address_network_contains(&network, &network.address));
	if (network.prefix_bits == 0)
		return;
	unsigned last = network.prefix_bits - 1;
	network.address.bytes[last / 8] ^= (uint8_t)(0x80 >> last % 8);
	struct address neighbour = network.address;
	network.address.bytes[last / 8] ^= (uint8_t)(0x80 >> last % 8);
	FUZZ_CHECK(!address_network_contains(&network, &neighbour));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);
	if (size > 0) {
		check_against_libc(text);
		check_address(text);
		check_network(text);
	}
	return 0;
}
