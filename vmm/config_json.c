/* SPDX-License-Identifier: Apache-2.0 */
#include "config_json.h"

#include "config_build.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define FILE_SIZE_MAX MIB(1)

enum key_type { KEY_BOOL, KEY_INTEGER, KEY_STRING, KEY_OBJECT, KEY_ARRAY };

struct key {
	const char *name;
	enum key_type type;
	bool required;
	/* NULL: any value will do; else those husk supports, with ", " between; "": none at all. */
	const char *only;
};

/* Where in the file an object is: 'config file "vm.json": drives[1]'. */
struct place {
	char text[1024];
	const char *separator; /* to the names of its keys */
};

static const struct key root_keys[] = {
	{"boot-source", KEY_OBJECT, .required = true},
	{"drives", KEY_ARRAY, .required = true},
	{"machine-config", KEY_OBJECT, .required = false},
	{"network-interfaces", KEY_ARRAY, .required = false},
	{"balloon", KEY_OBJECT, .only = ""},
	{"cpu-config", KEY_OBJECT, .only = ""},
	{"entropy", KEY_OBJECT, .only = ""},
	{"logger", KEY_OBJECT, .only = ""},
	{"memory-hotplug", KEY_OBJECT, .only = ""},
	{"metrics", KEY_OBJECT, .only = ""},
	{"mmds-config", KEY_OBJECT, .only = ""},
	{"pmem", KEY_ARRAY, .only = ""},
	{"vsock", KEY_OBJECT, .only = ""},
};

static const struct key boot_keys[] = {
	{"kernel_image_path", KEY_STRING, .required = true},
	{"boot_args", KEY_STRING, .required = false},
	{"initrd_path", KEY_STRING, .required = false},
};

static const struct key drive_keys[] = {
	{"drive_id", KEY_STRING, .required = true},
	{"path_on_host", KEY_STRING, .required = true},
	{"is_root_device", KEY_BOOL, .required = true},
	{"is_read_only", KEY_BOOL, .required = false},
	{"partuuid", KEY_STRING, .required = false},
	{"cache_type", KEY_STRING, .only = "Unsafe, Writeback"},
	{"io_engine", KEY_STRING, .only = "Sync, Async"},
	{"rate_limiter", KEY_OBJECT, .only = ""},
	{"socket", KEY_STRING, .only = ""},
};

static const struct key machine_keys[] = {
	{"vcpu_count", KEY_INTEGER, .required = true},
	{"mem_size_mib", KEY_INTEGER, .required = true},
	{"smt", KEY_BOOL, .only = "false"},
	{"track_dirty_pages", KEY_BOOL, .only = "false"},
	{"huge_pages", KEY_STRING, .only = "None"},
	{"cpu_template", KEY_STRING, .only = "None"},
	{"gdb_socket_path", KEY_STRING, .only = ""},
};

static const struct key nic_keys[] = {
	{"iface_id", KEY_STRING, .required = true},
	{"host_dev_name", KEY_STRING, .required = true},
	{"guest_mac", KEY_STRING, .required = false},
	{"mtu", KEY_INTEGER, .required = false},
	{"rx_rate_limiter", KEY_OBJECT, .only = ""},
	{"tx_rate_limiter", KEY_OBJECT, .only = ""},
};

/* A key, or with `index` an element of it. Without printf, which would be the first of the start.
 */
static struct place place_below(const struct place *parent, const char *key, const size_t *index)
{
	struct place place;
	char number[32];
	size_t used;

	place.separator = ".";
	/* A file name that is very long is cut, the keys never are. */
	used = text_add(place.text, 900, 0, parent->text);
	used = text_add(place.text, sizeof(place.text), used, parent->separator);
	used = text_add(place.text, sizeof(place.text), used, key);
	if (index) {
		snprintf(number, sizeof(number), "[%zu]", *index);
		text_add(place.text, sizeof(place.text), used, number);
	}
	return place;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

static int check_type(const struct place *place, enum key_type type, const json_t *value)
{
	static const char *const names[] = {
		[KEY_BOOL] = "true or false", [KEY_INTEGER] = "an integer",
		[KEY_STRING] = "a string",    [KEY_OBJECT] = "an object",
		[KEY_ARRAY] = "an array",
	};
	const bool fits[] = {
		[KEY_BOOL] = json_is_boolean(value),  [KEY_INTEGER] = json_is_integer(value),
		[KEY_STRING] = json_is_string(value), [KEY_OBJECT] = json_is_object(value),
		[KEY_ARRAY] = json_is_array(value),
	};

	if (fits[type])
		return 0;
	log_error("%s: expected %s, found %s", place->text, names[type], type_name(value));
	return -EINVAL;
}

/* Is `word` in "one, two, three"? */
static bool in_list(const char *word, const char *list)
{
	size_t len;

	for (; *list; list += len, list += strspn(list, ", ")) {
		len = strcspn(list, ",");
		if (strlen(word) == len && !strncmp(word, list, len))
			return true;
	}
	return false;
}

static int check_value(const struct place *place, const struct key *key, const json_t *value)
{
	const char *word, *quote = json_is_string(value) ? "\"" : "";
	int err;

	if (key->only && !*key->only) {
		if (key->type == KEY_ARRAY && json_is_array(value) && !json_array_size(value))
			return 0;
		log_error("%s is not supported; leave it out", place->text);
		return -EINVAL;
	}
	err = check_type(place, key->type, value);
	if (err || !key->only)
		return err;
	word = json_is_string(value) ? json_string_value(value) : type_name(value);
	if (in_list(word, key->only))
		return 0;
	log_error("%s: %s%s%s is not supported; husk has: %s", place->text, quote, word, quote,
		  key->only);
	return -EINVAL;
}

static const struct key *find_key(const struct place *place, const char *name,
				  const struct key *keys, size_t nr)
{
	char valid[256] = "";
	size_t used = 0, i;

	for (i = 0; i < nr; i++)
		if (!strcmp(name, keys[i].name))
			return &keys[i];
	for (i = 0; i < nr; i++) {
		if (used < sizeof(valid) && (!keys[i].only || *keys[i].only))
			used += (size_t)snprintf(valid + used, sizeof(valid) - used, "%s%s",
						 used ? ", " : "", keys[i].name);
	}
	log_error("%s%s%s: unknown key; there are: %s", place->text, place->separator, name, valid);
	return NULL;
}

/* After this the getters of jansson are safe, and give NULL, 0 or false for what is left out. */
static int check_object(const struct place *place, json_t *object, const struct key *keys,
			size_t nr)
{
	const struct key *key;
	struct place below;
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(object, name, value)
	{
		key = find_key(place, name, keys, nr);
		if (!key)
			return -EINVAL;
		below = place_below(place, name, NULL);
		if ((key->required || !json_is_null(value)) && check_value(&below, key, value))
			return -EINVAL;
	}
	for (i = 0; i < nr; i++) {
		if (keys[i].required && !json_object_get(object, keys[i].name)) {
			log_error("%s%s%s is missing", place->text, place->separator, keys[i].name);
			return -EINVAL;
		}
	}
	return 0;
}

/* *ret keeps its value if the key is left out. */
static int get_integer(const struct place *place, const json_t *object, const char *key,
		       int64_t min, int64_t max, int64_t *ret)
{
	const json_t *value = json_object_get(object, key);
	int64_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return 0;
	if (number < min || number > max) {
		log_error("%s.%s: expected %" PRId64 " to %" PRId64 ", found %" PRId64, place->text,
			  key, min, max, number);
		return -EINVAL;
	}
	*ret = number;
	return 0;
}

static int get_path(const struct place *place, const json_t *object, const char *key, char **slot)
{
	const char *path = json_string_value(json_object_get(object, key));
	struct place below;

	below = place_below(place, key, NULL);
	return path ? config_set_path(slot, below.text, path) : 0;
}

static int get_id(const struct place *place, const json_t *object, const char *key, char **slot)
{
	const char *id = json_string_value(json_object_get(object, key));
	struct place below;
	int err;

	below = place_below(place, key, NULL);
	err = config_check_id(below.text, id);
	return err ? err : config_set_string(slot, id);
}

static int read_boot(struct vm_config *config, const struct place *place, json_t *object)
{
	const char *args = json_string_value(json_object_get(object, "boot_args"));
	struct place below;
	int err;

	err = check_object(place, object, boot_keys, ARRAY_SIZE(boot_keys));
	if (!err)
		err = get_path(place, object, "kernel_image_path", &config->kernel);
	if (!err)
		err = get_path(place, object, "initrd_path", &config->initrd);
	below = place_below(place, "boot_args", NULL);
	return err || !args ? err : config_add_cmdline(config, below.text, args);
}

static int read_machine(struct vm_config *config, const struct place *place, json_t *object)
{
	int64_t cpus = 0, mib = 0;
	int err;

	err = check_object(place, object, machine_keys, ARRAY_SIZE(machine_keys));
	if (!err)
		err = get_integer(place, object, "vcpu_count", 1, CONFIG_CPUS_MAX, &cpus);
	if (!err)
		err = get_integer(place, object, "mem_size_mib", CONFIG_MEMORY_MIN / MIB(1),
				  CONFIG_MEMORY_MAX / MIB(1), &mib);
	config->cpus = (unsigned int)cpus;
	config->memory = MIB(mib);
	return err;
}

/* Goes on the kernel command line as one word, root=PARTUUID=... */
static int get_partuuid(const struct place *place, const json_t *object, char **slot)
{
	static const char valid[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "-/=";
	const char *uuid = json_string_value(json_object_get(object, "partuuid"));

	if (uuid && (!*uuid || uuid[strspn(uuid, valid)])) {
		log_error("%s.partuuid: \"%s\" is not the UUID of a partition", place->text, uuid);
		return -EINVAL;
	}
	return config_set_string(slot, uuid);
}

static int read_drive(struct vm_config *config, const struct place *place, json_t *object)
{
	struct drive_config drive = {
		.is_root = json_is_true(json_object_get(object, "is_root_device")),
		.read_only = json_is_true(json_object_get(object, "is_read_only")),
	};
	int err = check_object(place, object, drive_keys, ARRAY_SIZE(drive_keys));

	if (!err)
		err = get_id(place, object, "drive_id", &drive.id);
	if (!err)
		err = get_path(place, object, "path_on_host", &drive.path);
	if (!err)
		err = get_partuuid(place, object, &drive.partuuid);
	if (!err)
		return config_add_drive(config, place->text, &drive);
	config_drive_fini(&drive);
	return err;
}

static int read_nic(struct vm_config *config, const struct place *place, json_t *object)
{
	const char *mac = json_string_value(json_object_get(object, "guest_mac"));
	struct nic_config nic = {.kind = NIC_TAP, .fd = -1};
	struct place below;
	int64_t mtu = 0;
	int err = check_object(place, object, nic_keys, ARRAY_SIZE(nic_keys));

	if (!err)
		err = get_id(place, object, "iface_id", &nic.id);
	below = place_below(place, "host_dev_name", NULL);
	if (!err)
		err = config_set_tap(&nic, below.text,
				     json_string_value(json_object_get(object, "host_dev_name")));
	below = place_below(place, "guest_mac", NULL);
	if (!err && mac)
		err = config_set_mac(&nic, below.text, mac);
	if (!err)
		err = get_integer(place, object, "mtu", CONFIG_MTU_MIN, CONFIG_MTU_MAX, &mtu);
	nic.mtu = (uint16_t)mtu;
	if (!err)
		return config_add_nic(config, place->text, &nic);
	config_nic_fini(&nic);
	return err;
}

typedef int object_reader(struct vm_config *config, const struct place *place, json_t *object);

/* A key of the root: an object, or an array of them; nothing if it is left out. */
static int read_key(struct vm_config *config, const struct place *root, const char *key,
		    json_t *value, object_reader *read)
{
	struct place place;
	size_t i;
	int err = 0;

	if (json_is_object(value)) {
		place = place_below(root, key, NULL);
		return read(config, &place, value);
	}
	for (i = 0; !err && i < json_array_size(value); i++) {
		place = place_below(root, key, &i);
		err = check_type(&place, KEY_OBJECT, json_array_get(value, i));
		if (!err)
			err = read(config, &place, json_array_get(value, i));
	}
	return err;
}

static int read_root(struct vm_config *config, const struct place *place, json_t *root)
{
	static const struct {
		const char *key;
		object_reader *read;
	} readers[] = {
		{"machine-config", read_machine},
		{"boot-source", read_boot},
		{"drives", read_drive},
		{"network-interfaces", read_nic},
	};
	size_t i;
	int err;

	err = check_type(place, KEY_OBJECT, root);
	if (!err)
		err = check_object(place, root, root_keys, ARRAY_SIZE(root_keys));
	for (i = 0; !err && i < ARRAY_SIZE(readers); i++)
		err = read_key(config, place, readers[i].key, json_object_get(root, readers[i].key),
			       readers[i].read);
	return err;
}

/* The config file, of which at most FILE_SIZE_MAX bytes are read. */
struct source {
	int fd, err;
	size_t used;
};

/* For jansson: no more of the file, or an error, ends the text. */
static size_t read_more(void *buffer, size_t size, void *ctx)
{
	struct source *source = ctx;
	ssize_t got;

	do
		got = read(source->fd, buffer, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		source->err = -errno;
	else
		source->used += (size_t)got;
	if (source->used > FILE_SIZE_MAX)
		source->err = -EFBIG;
	return source->err ? 0 : (size_t)got;
}

/* jansson would read its seed from /dev/urandom; the kernel has given this process one already. */
static void seed_hashes(void)
{
	const unsigned long addr = getauxval(AT_RANDOM);
	const void *random; /* 16 bytes */
	uint32_t seed;

	if (!addr)
		return;
	memcpy(&random, &addr, sizeof(random));
	memcpy(&seed, random, sizeof(seed));
	json_object_seed(MAX(seed, 1u)); /* 0 stands for /dev/urandom */
}

/* The file may be a pipe. */
static int load(const char *path, json_t **ret_root)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct source source = {.fd = fd, .err = fd < 0 ? -errno : 0};
	json_error_t error;
	json_t *root = NULL;

	seed_hashes();
	if (!source.err)
		root = json_load_callback(read_more, &source, JSON_REJECT_DUPLICATES, &error);
	if (root && !source.err) {
		*ret_root = root;
		return 0;
	}
	json_decref(root);
	if (source.err == -EFBIG)
		log_error("config file \"%s\": larger than 1 MiB", path);
	else if (source.err)
		log_error("config file \"%s\": %s", path, strerror(-source.err));
	else
		log_error("config file \"%s\": line %d, column %d: %s", path, error.line,
			  error.column, error.text);
	return source.err ? source.err : -EINVAL;
}

int config_json_load(struct vm_config *config, const char *path)
{
	struct place place;
	json_t *root;
	size_t len;
	int err;

	err = load(path, &root);
	if (err)
		return err;
	place.separator = ": ";
	len = text_add(place.text, sizeof(place.text), 0, "config file \"");
	len = text_add(place.text, 800, len, path);
	text_add(place.text, sizeof(place.text), len, "\"");
	err = read_root(config, &place, root);
	json_decref(root);
	return err;
}
