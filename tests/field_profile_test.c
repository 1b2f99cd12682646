// What users write for --fields, and what becomes of it.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "field_profile.h"

static struct field_profile parsed_with(const char *text, enum field_timestamps timestamps) {
	struct field_profile profile;
	char error[FIELD_PROFILE_ERROR_BYTES] = "";

	if (field_profile_parse(&profile, text, timestamps, error) != 0)
		fail_msg("%s: %s", text, error);
	return profile;
}

static struct field_profile parsed(const char *text) {
	return parsed_with(text, FIELD_UPTIME);
}

static void refused(const char *text, const char *why) {
	struct field_profile profile;
	char error[FIELD_PROFILE_ERROR_BYTES] = "";

	if (field_profile_parse(&profile, text, FIELD_UPTIME, error) != -EINVAL)
		fail_msg("%s is taken", text);
	if (strstr(error, why) == NULL)
		fail_msg("%s: \"%s\" says nothing of \"%s\"", text, error, why);
	assert_null(strchr(error, '\n'));
}

static bool has(const struct field_layout *layout, uint16_t id) {
	for (unsigned i = 0; i < layout->n_fields; i++)
		if (layout->fields[i].id == id)
			return true;
	return false;
}

static void check_same(const struct field_profile *a, const struct field_profile *b) {
	for (unsigned i = 0; i < FIELD_PROTOCOLS; i++)
		for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
			assert_int_equal(
				a->layouts[i][ipv6].n_fields, b->layouts[i][ipv6].n_fields
			);
			assert_int_equal(a->layouts[i][ipv6].id, b->layouts[i][ipv6].id);
			assert_ptr_equal(a->layouts[i][ipv6].encode, b->layouts[i][ipv6].encode);
		}
}

// The octets of records of NetFlow v9 and of IPFIX, IPv4 and IPv6.
static void check_bytes(const struct field_profile *profile, const uint16_t wanted[4]) {
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(profile->layouts[i / 2][i % 2].record_bytes, wanted[i]);
}

static void named_profiles_are_what_their_names_say(void **state) {
	struct field_profile standard = parsed("standard"), by_default;
	(void)state;

	field_profile_standard(&by_default);
	check_same(&standard, &by_default);
	check_bytes(&standard, (const uint16_t[]){68, 96, 78, 106});

	struct field_profile qinq = parsed("standard+qinq");
	check_bytes(&qinq, (const uint16_t[]){72, 100, 80, 108});
	for (unsigned i = 0; i < 4; i++)
		assert_true(
			has(&qinq.layouts[i / 2][i % 2], 243)
			&& has(&qinq.layouts[i / 2][i % 2], 245)
		);

	struct field_profile mpls = parsed("standard+mpls");
	check_bytes(&mpls, (const uint16_t[]){71, 99, 81, 109});

	struct field_profile minimal = parsed("minimal");
	check_bytes(&minimal, (const uint16_t[]){49, 73, 57, 81});
	struct field_profile both = parsed("standard+qinq+mpls");
	check_bytes(&both, (const uint16_t[]){75, 103, 83, 111});
}

static void a_name_an_id_and_a_group_say_the_same(void **state) {
	struct field_profile a = parsed("standard,-mac,+245");
	struct field_profile b = parsed("standard, -56, -80, +dot1qCustomerVlanId");
	struct field_profile c = parsed("STANDARD-sourcemacaddress-destinationMacAddress+245");
	(void)state;

	check_same(&a, &b);
	check_same(&a, &c);
	check_bytes(&a, (const uint16_t[]){58, 86, 66, 94});
}

static void the_order_that_a_list_is_written_in_is_no_matter(void **state) {
	struct field_profile a = parsed("8,12,7,11,4,1,2,22,21");
	struct field_profile b = parsed("times,counters,protocol,ports,addresses");
	(void)state;

	check_same(&a, &b);
	check_bytes(&a, (const uint16_t[]){37, 61, 45, 69});
}

static void what_ipv6_and_ipfix_tell_in_other_elements_is_chosen_too(void **state) {
	struct field_profile profile = parsed("8,12,7,11,4,1,2,22,21,32");
	(void)state;

	assert_true(has(&profile.layouts[FIELDS_NETFLOW9][1], 27));
	assert_true(has(&profile.layouts[FIELDS_NETFLOW9][1], 32));
	assert_true(has(&profile.layouts[FIELDS_IPFIX][1], 139));
	assert_false(has(&profile.layouts[FIELDS_IPFIX][1], 32));
	assert_true(has(&profile.layouts[FIELDS_IPFIX][0], 152));
	assert_false(has(&profile.layouts[FIELDS_IPFIX][0], 22));
}

static void v9_tells_the_times_that_were_asked_for(void **state) {
	enum field_timestamps timestamps;
	(void)state;

	assert_int_equal(field_timestamps_parse(&timestamps, "absolute"), 0);
	struct field_profile absolute = parsed_with("standard", timestamps);
	assert_false(has(&absolute.layouts[FIELDS_NETFLOW9][0], 22));
	assert_true(has(&absolute.layouts[FIELDS_NETFLOW9][0], 152));
	assert_int_equal(field_timestamps_parse(&timestamps, "both"), 0);
	struct field_profile both = parsed_with("standard", timestamps);
	assert_true(has(&both.layouts[FIELDS_NETFLOW9][1], 22));
	assert_true(has(&both.layouts[FIELDS_NETFLOW9][1], 153));
	assert_int_equal(field_timestamps_parse(&timestamps, "uptime"), 0);
	assert_int_equal(timestamps, FIELD_UPTIME);
	assert_int_equal(field_timestamps_parse(&timestamps, "unix"), -EINVAL);
	// IPFIX has the one kind, whatever v9 has.
	struct field_profile standard = parsed("standard");
	assert_int_equal(
		absolute.layouts[FIELDS_IPFIX][0].id, standard.layouts[FIELDS_IPFIX][0].id
	);
}

static void a_wrong_name_is_named_with_the_one_that_was_meant(void **state) {
	(void)state;
	refused("standart", "did you mean standard?");
	refused("standard,+qinc", "did you mean qinq?");
	refused("standard,+tcpControlBit", "did you mean tcpControlBits?");
	refused("standard,-sourceMac", "did you mean sourceMacAddress?");
	refused("standard,+nonsensenonsense", "no such name");
	refused("standard,+57", "weir does not tell postDestinationMacAddress");
	refused("standard,+148", "weir does not tell flowId");
	refused("standard,+9999", "field 9999: no such element");
	refused("standard,+99999999999999999999", "no such element");
}

static void what_is_said_twice_is_refused(void **state) {
	(void)state;
	refused("standard,+58", "field 58: is there already");
	refused("8,12,7,11,4,1,2,22,21,8", "field 8: is there already");
	refused("8,12,7,11,4,1,2,22,21,27", "field 27: is there already");
	refused("standard,-mac,-56", "field 56: is not there");
}

static void records_that_could_not_be_counted_are_refused(void **state) {
	(void)state;
	refused("standard,-8", "sourceIPv4Address (8), a key");
	refused("12,8,4,7,11,1,22,21", "packetDeltaCount (2), a counter");
	refused("standard,-counters", "a counter");
	refused("standard-protocol", "protocolIdentifier (4)");
	refused("standard-ports", "a key");
	refused("8,12,7,11,4,1,2", "flowStart");
	refused("mac", "a key");
}

static void what_is_no_list_is_refused(void **state) {
	(void)state;
	refused("", "a name or an id");
	refused(",", "a name or an id");
	refused("standard,", "a name or an id");
	refused("standard,+", "a name or an id");
	refused("+mac", "a name or an id");
	refused("standard,minimal", "a name or an id");
	refused("standard,+"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaa",
		"no such name");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_profiles_are_what_their_names_say),
		cmocka_unit_test(a_name_an_id_and_a_group_say_the_same),
		cmocka_unit_test(the_order_that_a_list_is_written_in_is_no_matter),
		cmocka_unit_test(what_ipv6_and_ipfix_tell_in_other_elements_is_chosen_too),
		cmocka_unit_test(v9_tells_the_times_that_were_asked_for),
		cmocka_unit_test(a_wrong_name_is_named_with_the_one_that_was_meant),
		cmocka_unit_test(what_is_said_twice_is_refused),
		cmocka_unit_test(records_that_could_not_be_counted_are_refused),
		cmocka_unit_test(what_is_no_list_is_refused),
	};
	return cmocka_run_group_tests_name("field_profile", tests, NULL, NULL);
}
