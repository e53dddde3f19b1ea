#include "event/event.h"

#include "base/timestamp.h"

enum { NESTING_MAX = 64, FIELD_TEXT_SIZE = 128 };

static const char before_client[] = "{\"ClientIP\":\"", before_time[] = "\",\"Timestamp\":\"", behind_time[] = "\"}";
enum {
	BEFORE_CLIENT_SIZE = sizeof before_client - 1,
	BEFORE_TIME_SIZE = sizeof before_time - 1,
	BEHIND_TIME_SIZE = sizeof behind_time - 1,
};
_Static_assert(BEFORE_CLIENT_SIZE + ADDRESS_TEXT_SIZE - 1 + BEFORE_TIME_SIZE + TIMESTAMP_TEXT_SIZE - 1 + BEHIND_TIME_SIZE <=
		       EVENT_VALUE_SIZE,
	       "the longest value fits");

static char *put(char *to, const char *text, size_t size)
{
	memcpy(to, text, size);
	return to + size;
}

void event_encode(const struct event *event, struct event_record *ret_record)
{
	char time[TIMESTAMP_TEXT_SIZE], *to = ret_record->value;
	size_t time_size = timestamp_format(event->pinged_at_ms, time);
	ret_record->key_size = (uint8_t)address_format(&event->client, ret_record->key);
	to = put(to, before_client, BEFORE_CLIENT_SIZE);
	to = put(to, ret_record->key, ret_record->key_size);
	to = put(to, before_time, BEFORE_TIME_SIZE);
	to = put(to, time, time_size);
	to = put(to, behind_time, BEHIND_TIME_SIZE);
	ret_record->value_size = (uint8_t)(to - ret_record->value);
}

static bool in_range(int64_t pinged_at_ms)
{
	return pinged_at_ms >= 1 && pinged_at_ms <= TIMESTAMP_MAX_MS;
}

/* The layout of event_encode, with any time and any address that parse as they stand: neither then holds what JSON would escape,
 * but for an address's zone, which may hold anything. */
static bool decode_fixed_layout(struct slice value, struct event *ret_event)
{
	if (value.size < BEFORE_CLIENT_SIZE + BEFORE_TIME_SIZE + BEHIND_TIME_SIZE)
		return false;
	const uint8_t *client = value.data + BEFORE_CLIENT_SIZE, *end = value.data + value.size - BEHIND_TIME_SIZE;
	const uint8_t *client_end = memchr(client, '"', (size_t)(end - client));
	if (client_end == NULL || end - client_end < BEFORE_TIME_SIZE ||
	    memcmp(value.data, before_client, BEFORE_CLIENT_SIZE) != 0 ||
	    memcmp(client_end, before_time, BEFORE_TIME_SIZE) != 0 || memcmp(end, behind_time, BEHIND_TIME_SIZE) != 0)
		return false;
	const uint8_t *time = client_end + BEFORE_TIME_SIZE;
	struct slice address = slice_make(client, (size_t)(client_end - client));
	struct event event;
	if (timestamp_parse(slice_make(time, (size_t)(end - time)), &event.pinged_at_ms) != ERROR_OK ||
	    address_parse(address, &event.client) != ERROR_OK || !in_range(event.pinged_at_ms) ||
	    memchr(address.data, '%', address.size) != NULL)
		return false;
	*ret_event = event;
	return true;
}

/* What is left of the text, and what was wrong with what was read. */
struct reader {
	const uint8_t *next, *end;
	const char *wrong; /* NULL: nothing so far */
};

/* A string without its escapes. Cut when longer than any that is of use. */
struct text {
	uint8_t data[FIELD_TEXT_SIZE];
	size_t size;
	bool cut;
};

static bool fail(struct reader *reader, const char *wrong)
{
	if (reader->wrong == NULL)
		reader->wrong = wrong;
	return false;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->next < reader->end &&
	       (*reader->next == ' ' || *reader->next == '\t' || *reader->next == '\n' || *reader->next == '\r'))
		reader->next++;
}

/* The next byte that is no blank, 0 at the end. */
static uint8_t peek(struct reader *reader)
{
	skip_blanks(reader);
	return reader->next < reader->end ? *reader->next : 0;
}

static bool accept(struct reader *reader, char wanted)
{
	if (peek(reader) != (uint8_t)wanted)
		return false;
	reader->next++;
	return true;
}

static bool accept_word(struct reader *reader, const char *word)
{
	size_t size = strlen(word);
	skip_blanks(reader);
	if ((size_t)(reader->end - reader->next) < size || memcmp(reader->next, word, size) != 0)
		return false;
	reader->next += size;
	return true;
}

static void text_put(struct text *text, uint32_t rune)
{
	uint8_t utf8[4];
	size_t size = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = size; i-- > 1; rune >>= 6)
		utf8[i] = (uint8_t)(0x80 | (rune & 0x3f));
	utf8[0] = (uint8_t)(lead[size] | rune);
	if (size > sizeof text->data - text->size) {
		text->cut = true;
		return;
	}
	memcpy(text->data + text->size, utf8, size);
	text->size += size;
}

static bool read_hex4(struct reader *reader, uint32_t *ret_unit)
{
	uint32_t unit = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t c = reader->next < reader->end ? *reader->next++ : 0, letter = c | 0x20;
		if (c >= '0' && c <= '9')
			unit = unit << 4 | (c - (unsigned)'0');
		else if (letter >= 'a' && letter <= 'f')
			unit = unit << 4 | (letter - (unsigned)'a' + 10);
		else
			return fail(reader, "not JSON: a bad escape");
	}
	*ret_unit = unit;
	return true;
}

/* Behind "\u": a code unit, or a pair of surrogates. */
static bool read_unicode_escape(struct reader *reader, uint32_t *ret_rune)
{
	uint32_t high, low;
	if (!read_hex4(reader, &high))
		return false;
	if (high - 0xd800 >= 0x800) {
		*ret_rune = high;
		return true;
	}
	if (high >= 0xdc00 || reader->end - reader->next < 2 || reader->next[0] != '\\' || reader->next[1] != 'u')
		return fail(reader, "not JSON: half a surrogate pair");
	reader->next += 2;
	if (!read_hex4(reader, &low))
		return false;
	if (low - 0xdc00 >= 0x400)
		return fail(reader, "not JSON: half a surrogate pair");
	*ret_rune = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static bool read_escape(struct reader *reader, uint32_t *ret_rune)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	uint8_t c = reader->next < reader->end ? *reader->next++ : 0;
	if (c == 'u')
		return read_unicode_escape(reader, ret_rune);
	const char *name = c == 0 ? NULL : strchr(names, c);
	if (name == NULL)
		return fail(reader, "not JSON: a bad escape");
	*ret_rune = (uint8_t)values[name - names];
	return true;
}

/* One code point of UTF-8: no overlong form, no surrogate (RFC 3629, 3). */
static bool read_utf8(struct reader *reader, uint32_t *ret_rune)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t lead = *reader->next++;
	size_t size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
	if (size == 0 || (size_t)(reader->end - reader->next) < size - 1)
		return fail(reader, "not JSON: invalid UTF-8");
	uint32_t rune = size == 1 ? lead : lead & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		uint8_t c = *reader->next++;
		if (c >> 6 != 2)
			return fail(reader, "not JSON: invalid UTF-8");
		rune = rune << 6 | (c & 0x3f);
	}
	if (rune < least[size] || rune > 0x10ffff || rune - 0xd800 < 0x800)
		return fail(reader, "not JSON: invalid UTF-8");
	*ret_rune = rune;
	return true;
}

static bool read_string(struct reader *reader, struct text *ret_text)
{
	ret_text->size = 0;
	ret_text->cut = false;
	if (!accept(reader, '"'))
		return fail(reader, "not JSON: a string expected");
	while (reader->next < reader->end) {
		uint32_t rune;
		if (*reader->next == '"') {
			reader->next++;
			return true;
		}
		if (*reader->next < 0x20)
			return fail(reader, "not JSON: a control character in a string");
		if (*reader->next == '\\') {
			reader->next++;
			if (!read_escape(reader, &rune))
				return false;
		} else if (!read_utf8(reader, &rune)) {
			return false;
		}
		text_put(ret_text, rune);
	}
	return fail(reader, "not JSON: a string without an end");
}

static bool skip_digits(struct reader *reader)
{
	const uint8_t *start = reader->next;
	while (reader->next < reader->end && *reader->next - (unsigned)'0' <= 9)
		reader->next++;
	return reader->next > start;
}

static bool skip_number(struct reader *reader)
{
	if (*reader->next == '-')
		reader->next++;
	if (reader->next < reader->end && *reader->next == '0')
		reader->next++;
	else if (!skip_digits(reader))
		return fail(reader, "not JSON: a bad value");
	if (reader->next < reader->end && *reader->next == '.') {
		reader->next++;
		if (!skip_digits(reader))
			return fail(reader, "not JSON: a bad number");
	}
	if (reader->next < reader->end && (*reader->next | 0x20) == 'e') {
		reader->next++;
		if (reader->next < reader->end && (*reader->next == '+' || *reader->next == '-'))
			reader->next++;
		if (!skip_digits(reader))
			return fail(reader, "not JSON: a bad number");
	}
	return true;
}

static bool skip_value(struct reader *reader, int depth);

/* Behind the opening bracket. */
static bool skip_members(struct reader *reader, char close, int depth)
{
	struct text name;
	if (depth == NESTING_MAX)
		return fail(reader, "nested too deeply");
	if (accept(reader, close))
		return true;
	do {
		if (close == '}' &&
		    !(read_string(reader, &name) && (accept(reader, ':') || fail(reader, "not JSON: ':' expected"))))
			return false;
		if (!skip_value(reader, depth + 1))
			return false;
	} while (accept(reader, ','));
	return accept(reader, close) || fail(reader, "not JSON: ',' or a closing bracket expected");
}

static bool skip_value(struct reader *reader, int depth)
{
	struct text text;
	switch (peek(reader)) {
	case '{':
		reader->next++;
		return skip_members(reader, '}', depth);
	case '[':
		reader->next++;
		return skip_members(reader, ']', depth);
	case '"':
		return read_string(reader, &text);
	case 0:
		return fail(reader, "not JSON: a value expected");
	default:
		return accept_word(reader, "null") || accept_word(reader, "true") || accept_word(reader, "false") ||
		       skip_number(reader);
	}
}

/* As Go folds: ASCII case, and the long s is an s. */
static bool name_is(const struct text *name, const char *wanted)
{
	size_t i = 0;
	for (; i < name->size && *wanted != 0; i++, wanted++) {
		uint8_t c = name->data[i];
		if (c == 0xc5 && i + 1 < name->size && name->data[i + 1] == 0xbf) {
			c = 's';
			i++;
		}
		uint8_t lower = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
		if (lower != ((uint8_t)*wanted | 0x20))
			return false;
	}
	return i == name->size && *wanted == 0 && !name->cut;
}

/* What the object said so far. An address is judged when the last one is known; every time must be one. */
struct fields {
	struct text client;
	int64_t pinged_at_ms;
	bool has_client, has_time;
};

static bool read_time(struct reader *reader, struct fields *fields)
{
	struct text text;
	if (peek(reader) != '"')
		return fail(reader, "Timestamp is not a string");
	if (!read_string(reader, &text))
		return false;
	if (text.cut || timestamp_parse(slice_make(text.data, text.size), &fields->pinged_at_ms) != ERROR_OK)
		return fail(reader, "Timestamp is not a time as in RFC 3339");
	fields->has_time = true;
	return true;
}

static bool read_client(struct reader *reader, struct fields *fields)
{
	if (peek(reader) != '"')
		return fail(reader, "ClientIP is not a string");
	fields->has_client = true;
	return read_string(reader, &fields->client);
}

static bool read_member(struct reader *reader, struct fields *fields)
{
	struct text name;
	if (!read_string(reader, &name))
		return false;
	if (!accept(reader, ':'))
		return fail(reader, "not JSON: ':' expected");
	bool client = name_is(&name, "ClientIP"), time = name_is(&name, "Timestamp");
	if ((!client && !time) || peek(reader) == 'n')
		return skip_value(reader, 1);
	return client ? read_client(reader, fields) : read_time(reader, fields);
}

static bool read_object(struct reader *reader, struct fields *fields)
{
	if (!accept(reader, '{'))
		return fail(reader, "not a JSON object");
	if (!accept(reader, '}')) {
		do
			if (!read_member(reader, fields))
				return false;
		while (accept(reader, ','));
		if (!accept(reader, '}'))
			return fail(reader, "not JSON: ',' or '}' expected");
	}
	skip_blanks(reader);
	return reader->next == reader->end || fail(reader, "not JSON: something behind the object");
}

enum error event_decode_strict(struct slice value, struct event *ret_event, struct error_note *note)
{
	struct reader reader = {.next = value.data, .end = value.size == 0 ? value.data : value.data + value.size};
	struct fields fields = {.has_client = false};
	struct event event;
	if (read_object(&reader, &fields)) {
		event.pinged_at_ms = fields.pinged_at_ms;
		if (!fields.has_client || !fields.has_time)
			fail(&reader, fields.has_client ? "no Timestamp" : "no ClientIP");
		else if (fields.client.cut ||
			 address_parse(slice_make(fields.client.data, fields.client.size), &event.client) != ERROR_OK)
			fail(&reader, "ClientIP is not an address");
		else if (!in_range(event.pinged_at_ms))
			fail(&reader, "Timestamp is not within 1970 and 9999");
	}
	if (reader.wrong != NULL)
		return error_noted(note, ERROR_MALFORMED, "%s", reader.wrong);
	*ret_event = event;
	return ERROR_OK;
}

enum error event_decode(struct slice value, struct event *ret_event, struct error_note *note)
{
	if (decode_fixed_layout(value, ret_event))
		return ERROR_OK;
	return event_decode_strict(value, ret_event, note);
}

uint32_t event_murmur2(struct slice key)
{
	const uint32_t multiplier = 0x5bd1e995;
	const uint8_t *next = key.data;
	size_t left = key.size;
	uint32_t hash = 0x9747b28cu ^ (uint32_t)key.size;
	for (; left >= 4; left -= 4, next += 4) {
		uint32_t word = next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 | (uint32_t)next[3] << 24;
		word *= multiplier;
		word ^= word >> 24;
		hash = hash * multiplier ^ word * multiplier;
	}
	for (size_t i = left; i-- > 0;)
		hash ^= (uint32_t)next[i] << 8 * i;
	if (left > 0)
		hash *= multiplier;
	hash ^= hash >> 13;
	hash *= multiplier;
	return hash ^ hash >> 15;
}

int32_t event_partition(struct slice key, int32_t partitions)
{
	return (int32_t)(event_murmur2(key) & INT32_MAX) % partitions;
}
