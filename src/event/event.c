#include "event/event.h"

#include "base/json.h"
#include "base/timestamp.h"

enum { STRING_MAX = 512 }; /* bytes of a string with escapes that may be a name or a value of use */

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

/* The string without its escapes, in the text itself or in `room`. Empty when it is longer than anything of use. */
static struct slice plain_text(const struct json_string *string, uint8_t room[STRING_MAX])
{
	if (!string->escaped)
		return string->raw;
	return slice_make(room, string->raw.size > STRING_MAX ? 0 : json_string_decode(string, room));
}

/* As Go folds: ASCII case, and U+017F, the long s, is an s. */
static bool name_is(struct slice name, const char *wanted)
{
	size_t i = 0;
	for (; i < name.size && *wanted != 0; i++, wanted++) {
		uint8_t byte = name.data[i];
		if (byte == 0xc5 && i + 1 < name.size && name.data[i + 1] == 0xbf) {
			byte = 's';
			i++;
		}
		if ((byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte) != (*wanted | 0x20))
			return false;
	}
	return i == name.size && *wanted == 0;
}

/* What the object said so far. An address is judged when the last one is known; every time must be one. */
struct fields {
	struct json_string client;
	int64_t pinged_at_ms;
	bool has_client, has_time;
	const char *wrong; /* NULL: it is the JSON that is wrong, where anything is */
};

static enum error refuse(struct fields *fields, const char *wrong)
{
	fields->wrong = wrong;
	return ERROR_MALFORMED;
}

static enum error read_time(struct json *json, struct fields *fields)
{
	uint8_t room[STRING_MAX];
	struct json_string string;
	enum error error = json_read_string(json, &string);
	if (error != ERROR_OK)
		return error;
	fields->has_time = true;
	if (timestamp_parse(plain_text(&string, room), &fields->pinged_at_ms) != ERROR_OK)
		return refuse(fields, "Timestamp is not a time as in RFC 3339");
	return ERROR_OK;
}

static enum error read_member(struct json *json, const struct json_string *name, struct fields *fields)
{
	uint8_t room[STRING_MAX];
	struct slice text = plain_text(name, room);
	bool client = name_is(text, "ClientIP"), time = name_is(text, "Timestamp");
	enum json_kind kind = json_peek(json);
	if ((client || time) && kind == JSON_STRING) {
		fields->has_client |= client;
		return client ? json_read_string(json, &fields->client) : read_time(json, fields);
	}
	enum error error = json_skip(json);
	if (error == ERROR_OK && (client || time) && kind != JSON_NULL)
		return refuse(fields, client ? "ClientIP is not a string" : "Timestamp is not a string");
	return error;
}

static enum error read_object(struct json *json, struct fields *fields)
{
	struct json_string name;
	bool more = true;
	enum error error = json_peek(json) == JSON_OBJECT ? json_enter(json) : refuse(fields, "not a JSON object");
	while (error == ERROR_OK) {
		error = json_next_member(json, &name, &more);
		if (error != ERROR_OK || !more)
			break;
		error = read_member(json, &name, fields);
	}
	return error == ERROR_OK ? json_finish(json) : error;
}

static enum error judge(struct fields *fields, struct event *ret_event)
{
	uint8_t room[STRING_MAX];
	if (!fields->has_client)
		return refuse(fields, "no ClientIP");
	if (!fields->has_time)
		return refuse(fields, "no Timestamp");
	if (!in_range(fields->pinged_at_ms))
		return refuse(fields, "Timestamp is not within 1970 and 9999");
	if (address_parse(plain_text(&fields->client, room), &ret_event->client) != ERROR_OK)
		return refuse(fields, "ClientIP is not an address");
	ret_event->pinged_at_ms = fields->pinged_at_ms;
	return ERROR_OK;
}

enum error event_decode_strict(struct slice value, struct event *ret_event, struct error_note *note)
{
	struct json json;
	struct fields fields = {.has_client = false};
	json_init(&json, value);
	enum error error = read_object(&json, &fields);
	if (error == ERROR_OK)
		error = judge(&fields, ret_event);
	if (error == ERROR_OK)
		return ERROR_OK;
	return fields.wrong == NULL ? json_problem(&json, ERROR_MALFORMED, note)
				    : error_noted(note, ERROR_MALFORMED, "%s", fields.wrong);
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
