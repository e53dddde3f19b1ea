/* The strict decoder against jansson: documents made from a grammar, then broken at random. What jansson reads is read, what it
 * refuses is refused, and the values agree, but where jansson has a limit of its own (then the document is passed over).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "event/event.h"

static struct random_seeded seeded;

static uint64_t below(uint64_t bound)
{
	return random_below(&seeded.random, bound);
}

#define PICK(list) list[below(sizeof list / sizeof list[0])]

static void put(struct buffer *to, const char *text)
{
	assert_int_equal(buffer_append_string(to, text), ERROR_OK);
}

static void put_blanks(struct buffer *to)
{
	static const char *const blanks[] = {"", "", "", "", " ", "\n", "\t\r"};
	put(to, PICK(blanks));
}

static void put_string(struct buffer *to)
{
	static const char *const parts[] = {
		"a", "ClientIP", "\\n", "\\u00e9", "\\ud83d\\ude00", "\xc3\xa9", "\xf0\x9f\x98\x80", "\\\"", "\\\\",
		"/", "\x7f",	 "}",	"]"};
	put(to, "\"");
	for (uint64_t i = below(4); i > 0; i--)
		put(to, PICK(parts));
	put(to, "\"");
}

static void put_value(struct buffer *to, int depth)
{
	static const char *const scalars[] = {"0", "-0", "17", "-2.5", "1e3", "0.5E-2", "true", "false", "null"};
	uint64_t kind = below(depth > 4 ? 2 : 4);
	put_blanks(to);
	if (kind == 0) {
		put(to, PICK(scalars));
	} else if (kind == 1) {
		put_string(to);
	} else {
		put(to, kind == 2 ? "[" : "{");
		for (uint64_t i = below(4); i > 0; i--) {
			if (kind == 3) {
				put_string(to);
				put(to, ":");
			}
			put_value(to, depth + 1);
			put(to, i > 1 ? "," : "");
		}
		put(to, kind == 2 ? "]" : "}");
	}
	put_blanks(to);
}

static void put_document(struct buffer *to)
{
	static const char *const clients[] = {"\"ClientIP\"", "\"clientip\"", "\"CLIENTIP\"", "\"\\u0043lientIP\""};
	static const char *const addresses[] = {"\"203.0.113.7\"", "\"2001:db8::7\"", "\"::ffff:1.2.3.4\"", "\"nobody\"", "null"};
	static const char *const times[] = {"\"Timestamp\"", "\"timestamp\"", "\"Time\xc5\xbftamp\""};
	static const char *const instants[] = {"\"2024-10-14T15:45:31.123Z\"", "\"2024-10-14T17:45:31+02:00\"",
					       "\"2024-10-14T15:45:31.123456789-00:30\"", "\"yesterday\"", "5"};
	put_blanks(to);
	put(to, "{");
	for (uint64_t i = 2 + below(4); i > 0; i--) {
		put_blanks(to);
		uint64_t kind = below(3);
		if (kind == 0)
			put_string(to);
		else
			put(to, kind == 1 ? PICK(clients) : PICK(times));
		put_blanks(to);
		put(to, ":");
		put_blanks(to);
		if (kind == 0)
			put_value(to, 0);
		else
			put(to, kind == 1 ? PICK(addresses) : PICK(instants));
		put_blanks(to);
		put(to, i > 1 ? "," : "");
	}
	put(to, "}");
	put_blanks(to);
}

static void break_at_random(struct buffer *document)
{
	static const uint8_t bytes[] = {'"', '\\', '{', '}', '[', ']',	',',  ':',  '0', 'u',
					'e', '.',  '-', ' ', 0,	  0x1f, 0xc3, 0xed, 0xff};
	for (uint64_t i = below(3); i > 0 && document->size > 0; i--) {
		size_t at = below(document->size);
		switch (below(4)) {
		case 0:
			document->data[at] = PICK(bytes);
			break;
		case 1:
			document->data[at] ^= (uint8_t)(1 << below(8));
			break;
		case 2:
			memmove(document->data + at, document->data + at + 1, document->size - at - 1);
			document->size--;
			break;
		default:
			document->size = at;
		}
	}
}

static bool name_is(const char *name, const char *wanted, const char *folded)
{
	return strcasecmp(name, wanted) == 0 || (folded != NULL && strcasecmp(name, folded) == 0);
}

static enum error take(json_t *root, struct event *ret_event)
{
	const char *name, *client = NULL;
	json_t *value;
	bool has_time = false;
	if (!json_is_object(root))
		return ERROR_MALFORMED;
	json_object_foreach(root, name, value)
	{
		bool is_client = name_is(name, "ClientIP", NULL), is_time = name_is(name, "Timestamp", "Time\xc5\xbftamp");
		if (json_is_null(value) || (!is_client && !is_time))
			continue;
		if (!json_is_string(value))
			return ERROR_MALFORMED;
		struct slice text = slice_make(json_string_value(value), json_string_length(value));
		if (is_client)
			client = json_string_value(value);
		else if (timestamp_parse(text, &ret_event->pinged_at_ms) != ERROR_OK)
			return ERROR_MALFORMED;
		has_time = has_time || is_time;
	}
	if (client == NULL || !has_time || ret_event->pinged_at_ms < 1)
		return ERROR_MALFORMED;
	return address_parse(slice_from_string(client), &ret_event->client);
}

/* False where jansson can't judge. */
static bool decode_with_jansson(struct slice document, enum error *ret_error, struct event *ret_event)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)document.data, document.size,
				  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
	if (root == NULL) {
		*ret_error = ERROR_MALFORMED;
		enum json_error_code code = json_error_code(&why);
		return code != json_error_duplicate_key && code != json_error_numeric_overflow &&
		       code != json_error_null_byte_in_key;
	}
	*ret_error = take(root, ret_event);
	json_decref(root);
	return true;
}

static void agrees_with_jansson(void **state)
{
	(void)state;
	struct buffer document;
	unsigned compared = 0, accepted = 0;
	random_seeded_init(&seeded, 20241014);
	buffer_init(&document, 1 << 20);
	for (int i = 0; i < 200000; i++) {
		enum error wanted;
		struct event event = {.pinged_at_ms = 0}, theirs = {.pinged_at_ms = 0};
		buffer_clear(&document);
		put_document(&document);
		if (i % 2 == 1)
			break_at_random(&document);
		if (!decode_with_jansson(buffer_slice(&document), &wanted, &theirs))
			continue;
		enum error error = event_decode(buffer_slice(&document), &event, NULL);
		if (error != wanted || (error == ERROR_OK && memcmp(&event, &theirs, sizeof event) != 0))
			fail_msg("%s here, %s there: %.*s", error_name(error), error_name(wanted), (int)document.size,
				 (const char *)document.data);
		compared++;
		accepted += error == ERROR_OK;
	}
	buffer_release(&document);
	assert_true(compared > 100000 && accepted > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_jansson),
	};
	return cmocka_run_group_tests_name("event/differential", tests, NULL, NULL);
}
