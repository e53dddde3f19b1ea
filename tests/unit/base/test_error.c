#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void the_first_rows_stand_in_the_order_of_grpc_codes(void **state)
{
	(void)state;
	static const char *const codes[] = {
		"",	     "canceled",       "unknown",	    "invalid_argument",	  "deadline_exceeded",
		"not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
		"aborted",   "out_of_range",   "unimplemented",	    "internal",		  "unavailable",
		"data_loss", "unauthenticated"};
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		assert_string_equal(error_connect_code((enum error)i), codes[i]);
		assert_int_equal(error_grpc_code((enum error)i), i);
	}
}

static void a_finer_row_answers_as_its_code_does(void **state)
{
	(void)state;
	for (enum error error = 0; error < ERROR_COUNT; error++) {
		enum error coarse = (enum error)error_grpc_code(error);
		assert_int_equal(coarse == ERROR_OK, error == ERROR_OK);
		assert_string_equal(error_connect_code(error), error_connect_code(coarse));
		assert_int_equal(error_http_status(error), error_http_status(coarse));
	}
}

static void every_row_has_a_name_of_its_own_and_a_text(void **state)
{
	(void)state;
	for (enum error error = 0; error < ERROR_COUNT; error++) {
		assert_true(strlen(error_name(error)) > 0 && strlen(error_text(error)) > 0);
		for (enum error other = 0; other < error; other++)
			assert_string_not_equal(error_name(error), error_name(other));
	}
}

/* Nothing was kept and a second try may succeed: never so for what is not known or is the caller's fault. */
static void only_what_another_try_may_mend_is_retriable(void **state)
{
	(void)state;
	for (enum error error = 0; error < ERROR_COUNT; error++) {
		unsigned status = error_http_status(error);
		if (error_retriable(error))
			assert_true(status == 429 || status == 503 || status == 409);
		if (status == 400 || status == 504 || status == 500)
			assert_false(error_retriable(error));
	}
	assert_true(error_retriable(ERROR_QUEUE_FULL));
	assert_false(error_retriable(ERROR_IN_DOUBT));
	assert_false(error_retriable(ERROR_TOO_LARGE));
}

static void a_note_is_cut_at_its_size(void **state)
{
	(void)state;
	struct error_note note;
	assert_int_equal(error_noted(&note, ERROR_IO, "%s: %0300d", "disk", 7), ERROR_IO);
	assert_int_equal(strlen(note.text), sizeof note.text - 1);
	assert_int_equal(strncmp(note.text, "disk: 000", 9), 0);
}

static void a_note_may_be_unwanted(void **state)
{
	(void)state;
	assert_int_equal(error_noted(NULL, ERROR_IO, "%d", 7), ERROR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rows_stand_in_the_order_of_grpc_codes),
		cmocka_unit_test(a_finer_row_answers_as_its_code_does),
		cmocka_unit_test(every_row_has_a_name_of_its_own_and_a_text),
		cmocka_unit_test(only_what_another_try_may_mend_is_retriable),
		cmocka_unit_test(a_note_is_cut_at_its_size),
		cmocka_unit_test(a_note_may_be_unwanted),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
