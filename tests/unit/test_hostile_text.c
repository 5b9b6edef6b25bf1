/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text a guest chose, on its way to the user's terminal.
 *
 * As they are go, by contract: what the command writes (guest link, standard output and error), and
 * the serial port where husk has a configuration file (CONSOLE_USER), as in other launchers.
 * Wherever husk makes a line of its own, and with --verbose, nothing in it can harm a terminal.
 */
#include "capture.h"
#include "console.h"
#include "fake_bystander.h"
#include "test_guest_link.h"
#include "verdict.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <sys/socket.h>

#define LOG_MAX 1024
#define PANIC "Kernel panic - not syncing: "

/* Escapes of a terminal: title, clipboard, answerback, clear, 8-bit and UTF-8 forms of CSI. */
static const char *const attacks[] = {
	"\033]0;title\a",
	"\033]52;c;cm0gLXJmIC8=\a",
	"\033[2J\033[1;1H",
	"\033[6n\033[c\005",
	"\033P$q\"p\033\\",
	"\x9b"
	"2J\x9d"
	"0;t\x9c",
	"\xc2\x9b"
	"2J",
	"\xe2\x80\xae"
	"evil",
	"a\bb\x7f"
	"c\vd\fe\016f\017",
	"%s%n%x%1000000d",
};

/* The console of a machine, without the machine. */
static struct console console;
static unsigned int halts;

static void on_console(void *ctx, enum console_event event)
{
	(void)ctx;
	halts += event == CONSOLE_HALTED;
}

static void console_start(struct pair *pair, enum console_mode mode)
{
	struct host_streams streams;

	console_fini(&console);
	halts = 0;
	host_streams_open(&streams);
	assert_int_equal(console_init(&console, &pair->loop, &streams, mode, on_console, NULL), 0);
	host_streams_close(&streams);
}

static int text_setup(void **state)
{
	pair_setup(state);
	console_start(*state, CONSOLE_HIDDEN);
	log_set_level(LOG_WARN);
	return 0;
}

static int text_teardown(void **state)
{
	console_fini(&console);
	return pair_teardown(state);
}

static void say_bytes(struct pair *pair, const void *text, size_t len)
{
	struct device *device = &console.serial.device;
	size_t i;

	for (i = 0; i < len; i++) {
		pthread_mutex_lock(&device->lock);
		device->ops->write(device, UART_TX, (const char *)text + i, 1);
		pthread_mutex_unlock(&device->lock);
		if (i % 256 == 255)
			streams_serve(&pair->loop);
	}
	streams_serve(&pair->loop);
}

static void say(struct pair *pair, const char *text)
{
	say_bytes(pair, text, strlen(text));
}

static bool is_text(char c)
{
	return c >= ' ' && c <= '~';
}

static void assert_text(const char *text)
{
	assert_true(*text);
	for (; *text; text++)
		assert_true(is_text(*text));
}

/* Exactly one line, bounded, of printable ASCII. */
static void assert_harmless_line(const char *text)
{
	size_t len = strlen(text), i;

	assert_in_range(len, 1, LOG_MAX);
	for (i = 0; i + 1 < len; i++)
		assert_true(is_text(text[i]));
	assert_int_equal(text[len - 1], '\n');
}

/* The machine's last words, with what the guest left for them. */
static void assert_last_words(struct pair *pair, const struct verdict *verdict)
{
	char got[2 * STREAMS_PIPE];
	int mode;

	for (mode = 0; mode < 2; mode++) {
		verdict_report(verdict, mode);
		if (streams_read(pair->streams.err, got, sizeof(got)))
			assert_harmless_line(got);
		else
			assert_true(mode); /* Firecracker's mode may say nothing */
	}
}

/* Every byte there is, and the attacks. */
static size_t nasty_text(char *ret_text, size_t size)
{
	size_t len = 0, i;
	int byte;

	for (byte = 0; byte < 256; byte++)
		if (byte != '\n')
			ret_text[len++] = (char)byte;
	for (i = 0; i < ARRAY_SIZE(attacks); i++) {
		assert_true(len + strlen(attacks[i]) < size);
		memcpy(ret_text + len, attacks[i], strlen(attacks[i]));
		len += strlen(attacks[i]);
	}
	return len;
}

static void class_45_panic_message(void **state)
{
	struct pair *pair = *state;
	struct verdict verdict = {.kind = VERDICT_RESET, .panic = console.panic};
	char nasty[1024], got[STREAMS_PIPE];
	size_t i, len = nasty_text(nasty, sizeof(nasty));

	for (i = 0; i < ARRAY_SIZE(attacks); i++) {
		console_start(pair, CONSOLE_HIDDEN);
		say(pair, PANIC);
		say(pair, attacks[i]);
		say(pair, "x\n");
		assert_text(console.panic);
		assert_last_words(pair, &verdict);
	}
	console_start(pair, CONSOLE_HIDDEN);
	say(pair, PANIC);
	say_bytes(pair, nasty, len);
	say(pair, "\n");
	assert_int_equal(strlen(console.panic), CONSOLE_LINE_MAX - 1 - strlen(PANIC));
	assert_text(console.panic);
	assert_last_words(pair, &verdict);
	/* The first counts, however many follow, and none is shown before the end. */
	console_start(pair, CONSOLE_HIDDEN);
	say(pair, PANIC "first\n");
	for (i = 0; i < 1000; i++)
		say(pair, PANIC "second\n");
	assert_string_equal(console.panic, "first");
	assert_int_equal(streams_read(pair->streams.err, got, sizeof(got)), 0);
}

/* A line without end costs no memory, and does not hide the one behind it. */
static void class_45_endless_lines(void **state)
{
	struct pair *pair = *state;
	static const size_t lengths[] = {CONSOLE_LINE_MAX - 2,
					 CONSOLE_LINE_MAX - 1,
					 CONSOLE_LINE_MAX,
					 CONSOLE_LINE_MAX + 1,
					 4096,
					 100000};
	static char text[100000];
	size_t i;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		console_start(pair, CONSOLE_HIDDEN);
		say_bytes(pair, text, lengths[i]);
		assert_int_equal(console.line_len, MIN(lengths[i], CONSOLE_LINE_MAX - 1));
		say(pair, PANIC "not of its own line\n");
		say(pair, PANIC "own line\n");
		assert_string_equal(console.panic, "own line");
	}
}

/* What the kernel says when it halts is its own, with its stamp; text that looks like it is not. */
static void class_45_made_up_halts(void **state)
{
	static const char *const made_up[] = {
		"reboot: System halted\n",	   "x[ 1.0] reboot: System halted\n",
		"[ 1.0] reboot: System halted.\n", "[ 1.0 reboot: Power down\n",
		"[ 1.0] reboot: Power\n down\n",   "[ 1.0] x reboot: Power down\n"};
	struct pair *pair = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(made_up); i++)
		say(pair, made_up[i]);
	assert_int_equal(halts, 0);
	say(pair, "[    1.0] reboot: System halted\n");
	assert_int_equal(halts, 1);
}

/* --verbose: one byte for one byte, of which none moves the cursor but to the line's start. */
static void class_45_verbose_console(void **state)
{
	struct pair *pair = *state;
	char nasty[1024], got[2 * STREAMS_PIPE];
	size_t i, len = nasty_text(nasty, sizeof(nasty));

	console_start(pair, CONSOLE_LOG);
	say_bytes(pair, nasty, len);
	assert_int_equal(streams_read(pair->streams.err, got, sizeof(got)), len);
	for (i = 0; i < len; i++) {
		if (is_text(nasty[i]) || nasty[i] == '\t' || nasty[i] == '\r')
			assert_int_equal(got[i], nasty[i]);
		else
			assert_int_equal(got[i], '?');
	}
	assert_int_equal(streams_read(pair->streams.out, got, sizeof(got)), 0);
}

/* By contract, byte for byte: the console as the user's terminal, and the command's streams. */
static void class_45_raw_by_contract(void **state)
{
	struct pair *pair = *state;
	char nasty[1024], got[2 * STREAMS_PIPE];
	size_t len = MIN(nasty_text(nasty, sizeof(nasty)), LINK_PAYLOAD_MAX);

	console_start(pair, CONSOLE_USER);
	say_bytes(pair, nasty, len);
	assert_int_equal(streams_read(pair->streams.out, got, sizeof(got)), len);
	assert_memory_equal(got, nasty, len);
	send_frame(pair, LINK_STDOUT, nasty, len);
	send_frame(pair, LINK_STDERR, nasty, len);
	streams_serve(&pair->loop);
	assert_int_equal(streams_read(pair->streams.out, got, sizeof(got)), len);
	assert_memory_equal(got, nasty, len);
	assert_int_equal(streams_read(pair->streams.err, got, sizeof(got)), len);
	assert_memory_equal(got, nasty, len);
}

/* Without --verbose, nothing of the console is shown: not even on a terminal that is the input. */
static void class_45_hidden_console(void **state)
{
	struct pair *pair = *state;
	char nasty[1024], got[2 * STREAMS_PIPE];
	size_t len = nasty_text(nasty, sizeof(nasty));
	int terminal[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, terminal), 0);
	assert_int_equal(dup2(terminal[0], STDIN_FILENO), STDIN_FILENO);
	console_start(pair, CONSOLE_HIDDEN);
	say_bytes(pair, nasty, len);
	assert_int_equal(recv(terminal[1], got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(streams_read(pair->streams.out, got, sizeof(got)), 0);
	assert_int_equal(streams_read(pair->streams.err, got, sizeof(got)), 0);
	close(terminal[0]);
	close(terminal[1]);
}

static void send_exit(struct pair *pair, uint8_t status, const void *text, size_t len)
{
	uint8_t payload[LINK_PAYLOAD_MAX];

	payload[0] = status;
	memcpy(payload + 1, text, len);
	send_frame(pair, LINK_EXIT, payload, len + 1);
	streams_serve(&pair->loop);
}

static void class_45_verdict_text(void **state)
{
	struct pair *pair = *state;
	struct verdict verdict = {.kind = VERDICT_EXIT, .text = pair->link.exit_text};
	char nasty[LINK_PAYLOAD_MAX - 1];
	size_t i, len = nasty_text(nasty, sizeof(nasty));

	/* A newline would make it two lines, of which the second could say it is husk's. */
	nasty[0] = '\n';
	send_exit(pair, 1, nasty, len);
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
	assert_int_equal(strlen(pair->link.exit_text), len);
	assert_last_words(pair, &verdict);
	for (i = 0; i < ARRAY_SIZE(attacks); i++) {
		pair_restart(pair, false);
		send_exit(pair, 1, attacks[i], strlen(attacks[i]));
		assert_last_words(pair, &verdict);
	}
	/* As long as a frame can be. */
	pair_restart(pair, false);
	memset(nasty, '\033', sizeof(nasty));
	send_exit(pair, 1, nasty, sizeof(nasty));
	assert_int_equal(strlen(pair->link.exit_text), sizeof(nasty));
	assert_last_words(pair, &verdict);
}

/* One of each, however often a guest says it; and nothing of its own behind the verdict. */
static void class_45_floods_of_frames(void **state)
{
	struct pair *pair = *state;
	char got[STREAMS_PIPE];
	unsigned int i, type;

	for (i = 0; i < 300; i++) {
		send_frame(pair, LINK_READY, "", 0);
		send_frame(pair, LINK_STARTED, "", 0);
		streams_serve(&pair->loop);
	}
	for (type = 0; type < 256; type++) {
		if (type >= LINK_READY && type <= LINK_TAKEN)
			continue;
		send_frame(pair, (uint8_t)type, "\033[2J", 4);
		streams_serve(&pair->loop);
	}
	for (i = 0; i < 300; i++) {
		send_exit(pair, (uint8_t)i, "first\033", i ? 0 : 6);
		send_frame(pair, LINK_STDOUT, "late", 4);
		streams_serve(&pair->loop);
	}
	assert_int_equal(pair->events[GUEST_LINK_READY], 1);
	assert_int_equal(pair->events[GUEST_LINK_STARTED], 1);
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
	assert_int_equal(pair->link.exit_status, 0);
	assert_string_equal(pair->link.exit_text, "first?");
	assert_int_equal(streams_read(pair->streams.out, got, sizeof(got)), 0);
	assert_int_equal(streams_read(pair->streams.err, got, sizeof(got)), 0);
}

/* A driver that breaks the rules all the time: a few lines each second, of husk's words alone. */
static void class_45_floods_of_log_lines(void **state)
{
	static struct fake_bystander disk;
	static struct fake_guest guest;
	struct capture capture;
	struct fake_guest *own = &disk.guest;
	uint64_t start = clock_now_ns(), seconds;
	unsigned int i;

	(void)state;
	fake_guest_init(&guest);
	fake_bystander_init(&disk, &guest);
	capture_begin(&capture, STDERR_FILENO);
	for (i = 0; i < 2000; i++) {
		fake_reg_write(own, VIRTIO_MMIO_STATUS, 0);
		fake_reg_write(own, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_DRIVER_OK);
		if (!(fake_reg_read(own, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET))
			break;
	}
	capture_end(&capture);
	seconds = (clock_now_ns() - start) / 1000000000 + 2;
	assert_int_equal(i, 2000);
	assert_in_range(capture_lines(&capture), 1, 5 * seconds);
	*(strchr(capture.text, '\n') + 1) = '\0';
	assert_harmless_line(capture.text);
	fake_bystander_fini(&disk);
	fake_guest_fini(&guest);
}

#define text_test(name) cmocka_unit_test_setup_teardown(name, text_setup, text_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		text_test(class_45_panic_message),	 text_test(class_45_endless_lines),
		text_test(class_45_made_up_halts),	 text_test(class_45_verbose_console),
		text_test(class_45_raw_by_contract),	 text_test(class_45_hidden_console),
		text_test(class_45_verdict_text),	 text_test(class_45_floods_of_frames),
		text_test(class_45_floods_of_log_lines),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
