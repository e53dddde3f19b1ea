#include "codec/forwarded.h"

static bool is_trusted(const struct forwarded *forwarded, const struct address *address)
{
	for (size_t i = 0; i < forwarded->trusted_count; i++)
		if (address_network_contains(&forwarded->trusted[i], address))
			return true;
	return false;
}

void forwarded_init(struct forwarded *forwarded, const struct address *peer, const struct address_network *trusted,
		    size_t trusted_count)
{
	*forwarded = (struct forwarded){.peer = *peer, .trusted = trusted, .trusted_count = trusted_count};
	forwarded->standard.client = *peer;
	forwarded->standard.ended = !is_trusted(forwarded, peer);
	forwarded->legacy = forwarded->standard;
}

static struct slice cut(struct slice text, size_t from, size_t to)
{
	return slice_make(text.data + from, to - from);
}

/* Digits, or "_" and a name (RFC 7239, 6). Its value is of no interest. */
static bool is_port(struct slice text)
{
	bool obfuscated = text.size > 1 && text.data[0] == '_';
	if (text.size == 0 || (!obfuscated && text.size > 5))
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i], letter = byte | 0x20;
		bool digit = byte >= '0' && byte <= '9';
		bool other = (letter >= 'a' && letter <= 'z') || byte == '.' || byte == '_' || byte == '-';
		if (!digit && !(obfuscated && other))
			return false;
	}
	return true;
}

/* An address, in brackets or not, with a port or not. Without brackets only IPv4 takes a port. */
static bool parse_node(struct slice text, struct address *ret_address)
{
	if (address_parse(text, ret_address) == ERROR_OK)
		return true;
	bool bracketed = text.size > 0 && text.data[0] == '[';
	const uint8_t *end = text.size == 0 ? NULL : memchr(text.data, bracketed ? ']' : ':', text.size);
	if (end == NULL)
		return false;
	size_t at = (size_t)(end - text.data);
	struct slice host = cut(text, bracketed, at), port = cut(text, at + bracketed, text.size);
	struct address address;
	if (address_parse(host, &address) != ERROR_OK || (bracketed && memchr(host.data, ':', host.size) == NULL))
		return false;
	if (port.size > 0 && (port.data[0] != ':' || !is_port(cut(port, 1, port.size))))
		return false;
	*ret_address = address;
	return true;
}

/* Where the last element of the list begins: behind the last comma that is not quoted, as seen from the right. What a trusted
 * proxy appended is thus found whatever stands left of it, a lone quote for one. */
static size_t last_element(struct slice list, bool with_quotes)
{
	bool quoted = false;
	for (size_t at = list.size; at > 0; at--) {
		uint8_t byte = list.data[at - 1];
		if (with_quotes && byte == '"') {
			size_t backslashes = 0;
			while (backslashes < at - 1 && list.data[at - 2 - backslashes] == '\\')
				backslashes++;
			if (!quoted || backslashes % 2 == 0)
				quoted = !quoted;
		} else if (byte == ',' && !quoted) {
			return at;
		}
	}
	return 0;
}

enum { NODE_SIZE = 128 };

struct pair {
	struct slice name;
	uint8_t value[NODE_SIZE]; /* without quotes and escapes; cut when longer than any node */
	size_t value_size;
};

/* name "=" (token | quoted-string); returns its length, 0 when it is malformed. More than a token may hold is let pass unquoted,
 * since many write a port or brackets without quotes. */
static size_t parse_pair(struct slice text, struct pair *ret_pair)
{
	const uint8_t *equals = memchr(text.data, '=', text.size);
	if (equals == NULL)
		return 0;
	size_t at = (size_t)(equals - text.data) + 1;
	ret_pair->name = cut(text, 0, at - 1);
	ret_pair->value_size = 0;
	bool quoted = at < text.size && text.data[at] == '"';
	for (at += quoted; at < text.size; at++) {
		uint8_t byte = text.data[at];
		if (quoted ? byte == '"' : byte == ';')
			break;
		if (quoted && byte == '\\' && ++at == text.size)
			return 0;
		if (!quoted && (byte == '"' || byte == '=' || slice_is_blank(byte)))
			return 0;
		if (ret_pair->value_size < NODE_SIZE)
			ret_pair->value[ret_pair->value_size++] = text.data[at];
	}
	if (quoted && at++ == text.size)
		return 0;
	return at;
}

/* forwarded-element: pairs between semicolons, "for" exactly once (RFC 7239, 4). */
static bool parse_element(struct slice element, struct address *ret_address)
{
	bool found = false;
	struct address address;
	while (element.size > 0) {
		struct pair pair;
		size_t size = parse_pair(element, &pair);
		if (size == 0 || (size < element.size && element.data[size] != ';'))
			return false;
		if (slice_equal_ignoring_case(pair.name, "for")) {
			if (found || !parse_node(slice_make(pair.value, pair.value_size), &address))
				return false;
			found = true;
		}
		element = slice_trim(cut(element, size + (size < element.size), element.size));
	}
	if (found)
		*ret_address = address;
	return found;
}

static void walk_list(const struct forwarded *forwarded, struct forwarded_walk *walk, struct slice list, bool standard)
{
	walk->seen = true;
	while (!walk->ended && list.size > 0) {
		size_t from = last_element(list, standard);
		struct slice element = slice_trim(cut(list, from, list.size));
		list.size = from > 0 ? from - 1 : 0;
		if (element.size == 0) /* a list may have empty elements (RFC 9110, 5.6.1.2) */
			continue;
		if (!(standard ? parse_element : parse_node)(element, &walk->client) || !is_trusted(forwarded, &walk->client))
			walk->ended = true;
	}
}

void forwarded_take_field(struct forwarded *forwarded, struct slice name, struct slice value)
{
	if (slice_equal_ignoring_case(name, "Forwarded"))
		walk_list(forwarded, &forwarded->standard, value, true);
	else if (slice_equal_ignoring_case(name, "X-Forwarded-For"))
		walk_list(forwarded, &forwarded->legacy, value, false);
}

const struct address *forwarded_client(const struct forwarded *forwarded)
{
	const struct forwarded_walk *standard = &forwarded->standard, *legacy = &forwarded->legacy;
	if (standard->seen && legacy->seen && !address_equal(&standard->client, &legacy->client))
		return &forwarded->peer;
	return standard->seen ? &standard->client : &legacy->client;
}
