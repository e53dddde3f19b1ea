/* pingd: reads its settings and says what they come to. */
#include "app/pingd_settings.h"

#include <stdio.h>
#include <unistd.h>

enum { EXIT_CODE_FAILURE = 1, EXIT_CODE_USAGE = 2 };

int main(int argc, char **argv)
{
	static struct pingd_config config;
	struct settings *settings;
	struct error_note note = {0};
	enum error error = pingd_config_load(argc, argv, environ, &config, &settings, &note);
	if (error != ERROR_OK) {
		fprintf(stderr, "pingd: %s\n", *note.text == 0 ? error_text(error) : note.text);
		return EXIT_CODE_USAGE;
	}
	int exit_code = EXIT_CODE_FAILURE;
	if (!pingd_config_answer(&config, settings, &exit_code))
		fprintf(stderr, "pingd: this version cannot serve yet\n");
	settings_destroy(settings);
	return exit_code;
}
