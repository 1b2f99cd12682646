// What the doctor says of made-up machines: each verdict, each with its remedy.

#include "doctor_fixture.h"

#include <linux/capability.h>

#include "doctor_checks.h"

#define MIB (UINT64_C(1) << 20)

static struct doctor_report report;

static void examine(struct doctor_wish wish) {
	if (wish.memory_bytes == 0)
		wish.memory_bytes = 222 * MIB;
	doctor_examine(fixture_root, &wish, &report);
}

static void examine_port(const char *port) {
	const char *const ports[] = {port};
	examine((struct doctor_wish){.ports = ports, .n_ports = 1});
}

static const struct doctor_line *line_of(const char *check) {
	for (unsigned i = 0; i < report.n_lines; i++)
		if (strcmp(report.lines[i].check, check) == 0)
			return &report.lines[i];
	return NULL;
}

// The first line of a check has this verdict, this among its words, and this remedy.
static void
expect(const char *check, enum doctor_verdict verdict, const char *words, const char *remedy) {
	const struct doctor_line *line = line_of(check);

	if (line == NULL)
		fail_msg("no line of check '%s'", check);
	else if (line->verdict != verdict || strstr(line->text, words) == NULL || strcmp(line->remedy, remedy) != 0)
		fail_msg("%s: %d '%s': '%s'", check, line->verdict, line->text, line->remedy);
}

static void expect_verdict(bool possible) {
	char text[DOCTOR_LINE_BYTES];

	for (unsigned i = 0; i < report.n_lines; i++) {
		const struct doctor_line *line = &report.lines[i];
		doctor_line_text(line, text, sizeof(text));
		if (line->verdict == DOCTOR_NO && line->remedy[0] == '\0')
			fail_msg("no remedy: %s", text);
		if (possible && line->verdict == DOCTOR_NO)
			fail_msg("%s", text);
	}
	assert_int_equal(doctor_possible(&report), possible);
}

static void a_healthy_machine_has_nothing_to_mend(void **state) {
	(void)state;
	examine_port("0000:03:00.0");
	expect_verdict(true);
	for (unsigned i = 0; i < report.n_lines; i++)
		if (report.lines[i].verdict != DOCTOR_OK)
			fail_msg("%s: %s", report.lines[i].check, report.lines[i].text);
	expect("device", DOCTOR_OK, "8086:1572, driver net_i40e", "");
	expect("iommu", DOCTOR_OK, "group 7", "");
	examine_port("eth1");
	expect_verdict(true);
	expect("queues", DOCTOR_OK, "2 for reception", "");
	// Not DPDK's: packet sockets are weir's own.
	for (unsigned i = 0; i < report.n_lines; i++)
		assert_null(strstr(report.lines[i].text, "librte_net_af_packet"));
	examine_port("vdev:net_af_packet0,iface=eth1");
	expect("driver", DOCTOR_OK, "librte_net_af_packet.so", "");
	examine_port("vdev:net_ring0");
	expect_verdict(true);
	expect("privileges", DOCTOR_OK, "need none", "");
}

static void without_ports_it_lists_what_could_be_one(void **state) {
	(void)state;
	examine((struct doctor_wish){0});
	expect_verdict(true);
	expect("port", DOCTOR_HINT, "up, MTU 1500, 2 queues", "weir run --port eth1 ...");
	bool bound = false;
	for (unsigned i = 0; i < report.n_lines; i++)
		bound |= strcmp(report.lines[i].port, "0000:03:00.0") == 0;
	assert_true(bound);
	put("/sys/class/net/eth1/flags", "0x1002\n");
	examine((struct doctor_wish){0});
	expect("port", DOCTOR_HINT, "down", "ip link set dev eth1 up && weir run --port eth1 ...");
}

static void capabilities_are_asked_for_by_the_kind_of_port(void **state) {
	(void)state;
	fixture_status("1000", "0000000000000000", "0-3");
	examine_port("eth1");
	expect_verdict(false);
	expect("privileges",
	       DOCTOR_NO,
	       "without cap_net_admin,cap_net_raw",
	       "sudo setcap cap_net_admin,cap_net_raw=ep /usr/bin/weir");
	expect("promiscuous", DOCTOR_NO, "cap_net_admin", "sudo ip link set dev eth1 promisc on");
	// NET_ADMIN is 12, NET_RAW 13.
	fixture_status("1000", "0000000000003000", "0-3");
	examine_port("eth1");
	expect_verdict(true);
	examine_port("af_xdp:eth1");
	expect("privileges",
	       DOCTOR_NO,
	       "cap_ipc_lock,cap_sys_admin,cap_dac_override,cap_bpf",
	       "sudo setcap "
	       "cap_net_admin,cap_net_raw,cap_ipc_lock,cap_sys_admin,cap_dac_override,cap_bpf=ep "
	       "/usr/bin/weir");
	examine_port("vdev:net_ring0");
	expect_verdict(true);
	// A root that a container keeps small.
	fixture_status("0", "0000000000000000", "0-3");
	examine_port("eth1");
	expect("privileges",
	       DOCTOR_NO,
	       "root, but without",
	       "docker run --privileged ...   # or the like of what confines this root "
	       "(cap_net_admin,cap_net_raw)");
}

static void hugepages_are_told_to_the_page(void **state) {
	struct doctor_wish asked = {.hugepages = true, .memory_bytes = 223 * MIB};
	(void)state;

	examine(asked);
	expect("hugepages", DOCTOR_OK, "1000 of 1024 MiB free", "");
	// 12 are taken, 112 are needed.
	put(FIXTURE_NODE "/free_hugepages", "0\n");
	put(FIXTURE_NODE "/nr_hugepages", "12\n");
	examine(asked);
	expect_verdict(false);
	expect("hugepages",
	       DOCTOR_NO,
	       "exhausted: 0 of 24 MiB free, 223 MiB",
	       "sysctl vm.nr_hugepages=124");
	put(FIXTURE_NODE "/nr_hugepages", "0\n");
	examine(asked);
	expect("hugepages", DOCTOR_NO, "none are set aside", "sysctl vm.nr_hugepages=112");
	// Not asked for, they are welcome.
	examine_port("eth1");
	expect_verdict(true);
	expect("hugepages", DOCTOR_HINT, "weir runs without", "sysctl vm.nr_hugepages=111");
	// A bound port does not run without.
	examine_port("0000:03:00.0");
	expect("hugepages", DOCTOR_NO, "none are set aside", "sysctl vm.nr_hugepages=111");
	put("/proc/meminfo", "MemAvailable:   8388608 kB\n");
	take("/sys/devices/system/node/node0/hugepages");
	examine(asked);
	expect("hugepages",
	       DOCTOR_NO,
	       "CONFIG_HUGETLBFS",
	       "apt-get install linux-image-amd64 && reboot");
}

static void hugepages_of_other_sizes_count(void **state) {
	(void)state;
	put(FIXTURE_NODE "/../hugepages-1048576kB/nr_hugepages", "1\n");
	put(FIXTURE_NODE "/../hugepages-1048576kB/free_hugepages", "1\n");
	put(FIXTURE_NODE "/nr_hugepages", "0\n");
	put(FIXTURE_NODE "/free_hugepages", "0\n");
	examine((struct doctor_wish){.hugepages = true});
	expect("hugepages", DOCTOR_OK, "1024 of 1024 MiB free", "");
}

static void locked_memory_matters_to_af_xdp_and_pci(void **state) {
	static const char remedy[] =
		"sudo prlimit --memlock=unlimited --pid $$   # systemd: LimitMEMLOCK=infinity";
	(void)state;

	fixture_memlock("8388608");
	examine_port("0000:03:00.0");
	expect("memlock", DOCTOR_OK, "no limit applies", "");
	fixture_status("1000", "0000000000003000", "0-3");
	examine_port("eth1");
	expect_verdict(true);
	expect("memlock", DOCTOR_HINT, "8192 KiB", remedy);
	examine_port("af_xdp:eth1");
	expect("memlock", DOCTOR_NO, "8192 KiB", remedy);
	examine_port("0000:03:00.0");
	expect("memlock", DOCTOR_NO, "8192 KiB", remedy);
	fixture_memlock("1073741824");
	examine_port("0000:03:00.0");
	expect("memlock", DOCTOR_OK, "1024 MiB", "");
}

static void memory_for_the_cache_is_there_or_not(void **state) {
	(void)state;
	put("/proc/meminfo", "MemAvailable:   204800 kB\nHugepagesize:       2048 kB\n");
	examine((struct doctor_wish){0});
	expect("memory", DOCTOR_OK, "1000 MiB available", "");
	put(FIXTURE_NODE "/free_hugepages", "0\n");
	examine((struct doctor_wish){0});
	expect("memory",
	       DOCTOR_NO,
	       "200 MiB available, 222 MiB needed",
	       "weir run --cache-memory 36MiB ...");
}

static void cores_must_exist_and_be_given(void **state) {
	(void)state;
	examine((struct doctor_wish){.cores = "0,2-3"});
	expect_verdict(true);
	examine((struct doctor_wish){.cores = "1,9"});
	expect_verdict(false);
	expect("cores", DOCTOR_NO, "core 9 does not exist", "weir run --cores 0-3 ...");
	examine((struct doctor_wish){.cores = "1-"});
	expect("cores", DOCTOR_NO, "no list of cores", "weir run --cores 0-3 ...");
	examine((struct doctor_wish){.cores = "5000"});
	expect("cores", DOCTOR_NO, "no list of cores", "weir run --cores 0-3 ...");
	fixture_status("0", "000001ffffffffff", "0,2");
	examine((struct doctor_wish){.cores = "1"});
	expect("cores", DOCTOR_NO, "core 1 is not given", "weir run --cores 0,2 ...");
	fixture_status("0", "000001ffffffffff", "2");
	examine((struct doctor_wish){0});
	expect("cores", DOCTOR_HINT, "one alone (2)", "");
	fixture_status("0", "000001ffffffffff", "0-3");
	put("/sys/devices/system/cpu/isolated", "\n");
	examine((struct doctor_wish){0});
	expect("isolation",
	       DOCTOR_HINT,
	       "no core",
	       "add isolcpus=1-3 to GRUB_CMDLINE_LINUX in /etc/default/grub; update-grub; reboot");
}

static void clocks_are_good_or_hinted_at(void **state) {
	(void)state;
	examine((struct doctor_wish){0});
	expect("clock", DOCTOR_OK, "invariant TSC", "");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
	examine((struct doctor_wish){0});
	expect("clock", DOCTOR_HINT, "hpet", "");
	put("/proc/cpuinfo", "flags\t\t: fpu tsc\n");
	examine((struct doctor_wish){0});
	expect("clock", DOCTOR_HINT, "not told to be invariant", "");
}

static void drivers_are_found_or_named(void **state) {
	(void)state;
	examine_port("vdev:net_nothing0,a=1");
	expect_verdict(false);
	expect("driver",
	       DOCTOR_NO,
	       "no driver 'net_nothing' (no librte_net_nothing.so",
	       "ls " FIXTURE_DRIVERS " | grep librte_net   # shows those that there are");
	examine_port("vdev:../../etc/passwd");
	expect_verdict(false);
	take(FIXTURE_DRIVERS "/librte_net_af_xdp.so");
	examine_port("af_xdp:eth1");
	expect("driver", DOCTOR_NO, "net_af_xdp", "apt-get install librte-net-af-xdp23");
	take(FIXTURE_DRIVERS);
	put_folder(FIXTURE_DRIVERS);
	examine((struct doctor_wish){0});
	expect("drivers", DOCTOR_NO, "no Ethernet driver", "apt-get install libdpdk-dev");
	take(FIXTURE_DRIVERS);
	examine_port("af_xdp:eth1");
	expect_verdict(true);
	expect("drivers", DOCTOR_HINT, "not Debian's", "apt-get install libdpdk-dev");
}

static void af_xdp_is_in_the_kernel_or_not(void **state) {
	static const char *const names[] = {"af_xdp:eth1"};
	const struct doctor_wish wish = {.ports = names, .n_ports = 1};
	struct doctor_machine machine;
	struct doctor_port port;
	(void)state;

	doctor_machine_read(fixture_root, &machine);
	assert_int_equal(doctor_port_parse(names[0], &port), 0);
	report.n_lines = 0;
	machine.af_xdp_error = EAFNOSUPPORT;
	doctor_check_machine(&machine, &wish, &port, &report);
	expect("af_xdp", DOCTOR_NO, "not in this kernel", "weir run --port af_packet:IFACE ...");
	report.n_lines = 0;
	machine.af_xdp_error = EPERM;
	doctor_check_machine(&machine, &wish, &port, &report);
	expect("af_xdp", DOCTOR_HINT, "cannot be tried", "");
	report.n_lines = 0;
	port.kind = DOCTOR_AF_PACKET;
	machine.af_xdp_error = EAFNOSUPPORT;
	doctor_check_machine(&machine, &wish, &port, &report);
	expect("af_xdp", DOCTOR_HINT, "not in this kernel", "");
}

static void vfio_is_loaded_and_has_an_iommu(void **state) {
	(void)state;
	take("/sys/kernel/iommu_groups");
	examine_port("0000:03:00.0");
	expect("vfio",
	       DOCTOR_NO,
	       "no IOMMU",
	       "echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	examine_port("0000:03:00.0");
	expect("vfio",
	       DOCTOR_HINT,
	       "without an IOMMU",
	       "add intel_iommu=on iommu=pt to GRUB_CMDLINE_LINUX in /etc/default/grub; "
	       "update-grub; reboot");
	take("/sys/bus/pci/drivers/vfio-pci");
	examine_port("0000:03:00.0");
	expect("vfio", DOCTOR_NO, "not loaded", "modprobe vfio-pci");
	examine_port("eth1");
	expect("vfio", DOCTOR_HINT, "not loaded", "modprobe vfio-pci");
	expect_verdict(true);
}

static void a_pci_port_is_a_network_device_that_vfio_holds(void **state) {
	(void)state;
	examine_port("0000:09:00.0");
	expect("device",
	       DOCTOR_NO,
	       "no such PCI device",
	       "dpdk-devbind.py --status-dev net   # shows those that there are");
	examine_port("0000:04:00.0");
	expect("device",
	       DOCTOR_NO,
	       "no network device (class 0x010802)",
	       "dpdk-devbind.py --status-dev net   # shows those that there are");
	put_link(FIXTURE_PCI "/driver", "../../drivers/i40e");
	put_folder(FIXTURE_PCI "/net/eth7");
	examine_port("0000:03:00.0");
	expect_verdict(false);
	expect("binding",
	       DOCTOR_NO,
	       "i40e holds it as interface eth7",
	       "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0");
	take(FIXTURE_PCI "/driver");
	examine_port("0000:03:00.0");
	expect("binding",
	       DOCTOR_NO,
	       "no driver holds it",
	       "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0");
	put(FIXTURE_PCI "/device", "0x0001\n");
	examine_port("0000:03:00.0");
	expect("device", DOCTOR_NO, "knows 8086:0001", "weir run --port eth7 ...");
}

static void an_interface_that_the_machine_uses_is_not_to_be_bound(void **state) {
	const struct doctor_pci pci = {
		.exists = true,
		.class = 0x020000,
		.address = "0000:03:00.0",
		.kernel_driver = "i40e",
		.interface = "eth7",
		.in_use = true,
		.dpdk_driver = "net_i40e",
		.numa_node = -1,
		.iommu_group = 7,
	};
	struct doctor_machine machine;
	struct doctor_port port;
	(void)state;

	doctor_machine_read(fixture_root, &machine);
	assert_int_equal(doctor_port_parse("0000:03:00.0", &port), 0);
	report.n_lines = 0;
	doctor_check_pci(&machine, &port, &pci, &report);
	expect("binding", DOCTOR_NO, "whose addresses", "weir run --port eth7 ...");
}

static void a_mellanox_port_stays_with_the_kernel(void **state) {
	(void)state;
	put(FIXTURE_PCI "/vendor", "0x15b3\n");
	put(FIXTURE_PCI "/device", "0x1017\n");
	put_link(FIXTURE_PCI "/driver", "../../drivers/mlx5_core");
	take("/sys/bus/pci/drivers/vfio-pci");
	examine_port("0000:03:00.0");
	expect("binding", DOCTOR_OK, "mlx5_core stays", "");
	expect_verdict(true);
}

static void an_iommu_group_is_free_and_its_own(void **state) {
	struct doctor_machine machine;
	struct doctor_port port;
	struct doctor_pci pci;
	(void)state;

	put(FIXTURE_PCI "/../0000:03:00.1/class", "0x020000\n");
	put_link(FIXTURE_PCI "/../0000:03:00.1/driver", "../../drivers/i40e");
	put_folder("/sys/kernel/iommu_groups/7/devices/0000:03:00.1");
	examine_port("0000:03:00.0");
	expect("iommu",
	       DOCTOR_NO,
	       "shared with 0000:03:00.1",
	       "dpdk-devbind.py --bind=vfio-pci 0000:03:00.1");

	take("/sys/kernel/iommu_groups/7/devices/0000:03:00.1");
	doctor_machine_read(fixture_root, &machine);
	doctor_pci_read(fixture_root, &machine, "0000:03:00.0", &pci);
	assert_int_equal(doctor_port_parse("0000:03:00.0", &port), 0);
	report.n_lines = 0;
	pci.vfio_error = EBUSY;
	doctor_check_pci(&machine, &port, &pci, &report);
	expect("use", DOCTOR_NO, "another program", "fuser -v /dev/vfio/7   # names it");
	report.n_lines = 0;
	pci.vfio_error = EACCES;
	doctor_check_pci(&machine, &port, &pci, &report);
	expect("iommu", DOCTOR_NO, "Permission denied", "sudo chown $(id -u) /dev/vfio/7");
}

static void a_numa_node_without_hugepages_is_hinted_at(void **state) {
	(void)state;
	put("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	put("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "0\n");
	examine_port("0000:03:00.0");
	expect("numa", DOCTOR_OK, "node 0", "");
	put(FIXTURE_PCI "/numa_node", "1\n");
	examine_port("0000:03:00.0");
	expect("numa",
	       DOCTOR_HINT,
	       "node 1",
	       "echo 512 > "
	       "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
}

static void an_interface_is_there_up_and_has_a_carrier(void **state) {
	(void)state;
	examine_port("eth9");
	expect_verdict(false);
	expect("interface",
	       DOCTOR_NO,
	       "no interface 'eth9'",
	       "ip -brief link   # shows those that there are");
	examine_port("af_packet:../eth1");
	expect_verdict(false);
	put("/sys/class/net/eth1/flags", "0x1002\n");
	examine_port("af_packet:eth1");
	expect_verdict(false);
	expect("link", DOCTOR_NO, "down", "ip link set dev eth1 up");
	put("/sys/class/net/eth1/flags", "0x1003\n");
	put("/sys/class/net/eth1/carrier", "0\n");
	examine_port("vdev:net_af_packet0,iface=eth1,qpairs=2");
	expect_verdict(true);
	expect("link",
	       DOCTOR_HINT,
	       "without a carrier",
	       "ethtool eth1   # and look at the cable or the mirror's configuration");
}

static void jumbo_frames_are_not_for_af_xdp(void **state) {
	(void)state;
	put("/sys/class/net/eth1/mtu", "9000\n");
	examine_port("af_packet:eth1");
	expect("mtu", DOCTOR_OK, "9000", "");
	examine_port("af_xdp:eth1");
	expect_verdict(false);
	expect("mtu",
	       DOCTOR_NO,
	       "9000, and af_xdp takes no more than 3498",
	       "ip link set dev eth1 mtu 3498   # or: weir run --port af_packet:eth1");
}

static void check_interface(struct doctor_interface interface, const char *text) {
	const struct doctor_machine machine = {.capabilities = UINT64_MAX, .n_nodes = 1};
	struct doctor_port port;

	assert_int_equal(doctor_port_parse(text, &port), 0);
	snprintf(interface.name, sizeof(interface.name), "eth1");
	interface.exists = true;
	interface.flags |= IFF_UP | IFF_RUNNING;
	interface.mtu = 1500;
	interface.numa_node = -1;
	report.n_lines = 0;
	doctor_check_interface(&machine, &port, &interface, &report);
}

static void merged_segments_are_hinted_at(void **state) {
	(void)state;
	check_interface(
		(struct doctor_interface
		){.gro = SWITCH_ON, .lro = SWITCH_ON, .gro_hardware = SWITCH_OFF},
		"eth1"
	);
	expect("offloads", DOCTOR_HINT, "gro, lro on", "ethtool -K eth1 gro off lro off");
	check_interface((struct doctor_interface){.gro = SWITCH_OFF, .lro = SWITCH_OFF}, "eth1");
	expect("offloads", DOCTOR_OK, "off", "");
	check_interface((struct doctor_interface){0}, "eth1");
	expect("offloads", DOCTOR_OK, "tells of none", "");
}

static void rings_and_queues_are_told(void **state) {
	(void)state;
	check_interface(
		(struct doctor_interface
		){.n_queues = 2, .max_queues = 8, .ring_slots = 512, .max_ring_slots = 4096},
		"eth1"
	);
	expect("queues", DOCTOR_OK, "2 for reception, of 8", "");
	expect("ring", DOCTOR_HINT, "512 slots", "ethtool -G eth1 rx 4096");
}

static void others_on_the_port_conflict_with_af_xdp_alone(void **state) {
	(void)state;
	check_interface((struct doctor_interface){.has_xdp_program = true}, "af_xdp:eth1");
	expect("use",
	       DOCTOR_NO,
	       "XDP program",
	       "ip link set dev eth1 xdp off   # after stopping that program");
	check_interface((struct doctor_interface){.has_xdp_program = true}, "eth1");
	expect("use",
	       DOCTOR_HINT,
	       "may take packets away",
	       "ip link set dev eth1 xdp off   # after stopping that program");
	check_interface((struct doctor_interface){.n_packet_sockets = 2}, "af_packet:eth1");
	expect("use", DOCTOR_OK, "2 packet sockets of others", "");
	check_interface((struct doctor_interface){.flags = IFF_PROMISC}, "eth1");
	expect("use", DOCTOR_OK, "nobody else", "");
	expect("promiscuous", DOCTOR_OK, "on already", "");
}

static void a_free_nic_is_offered_for_line_rate(void **state) {
	struct doctor_interface interface = {.pci = "0000:03:00.0", .kernel_driver = "i40e"};
	(void)state;

	check_interface(interface, "eth1");
	expect("line rate",
	       DOCTOR_HINT,
	       "for weir alone",
	       "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0 && weir run --port 0000:03:00.0 ...");
	interface.has_addresses = true;
	check_interface(interface, "eth1");
	expect("line rate", DOCTOR_HINT, "this machine uses it", "");
}

static void ports_are_read_as_people_write_them(void **state) {
	static const struct {
		const char *text;
		enum doctor_port_kind kind;
		const char *name;
	} good[] = {
		{"0000:03:00.0", DOCTOR_PCI, "0000:03:00.0"},
		{"eth1", DOCTOR_INTERFACE, "eth1"},
		{"eth1:0", DOCTOR_INTERFACE, "eth1:0"},
		{"af_packet:eth1", DOCTOR_AF_PACKET, "eth1"},
		{"af_xdp:eth1", DOCTOR_AF_XDP, "eth1"},
		{"vdev:net_ring0", DOCTOR_VDEV, "net_ring0"},
		{"vdev:net_af_xdp0,iface=v0,start_queue=0", DOCTOR_AF_XDP, "v0"},
		{"vdev:net_af_packet0,qpairs=2,iface=v0", DOCTOR_AF_PACKET, "v0"},
		{"vdev:net_pcap0,iface=v0", DOCTOR_VDEV, "net_pcap0,iface=v0"},
	};
	static const char *const bad[] = {"", "af_packet:", "vdev:", "af_xdp:", "a b"};
	char cut[sizeof("0000:03:00.0")];
	struct doctor_port port;
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(doctor_port_parse(good[i].text, &port), 0);
		assert_int_equal(port.kind, good[i].kind);
		assert_string_equal(port.name, good[i].name);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(doctor_port_parse(bad[i], &port), -EINVAL);
	// Every beginning of an address is read without running past its end.
	for (size_t n = 1; n < sizeof(cut) - 1; n++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)n, "0000:03:00.0");
		assert_int_equal(doctor_port_parse(cut, &port), 0);
		assert_int_equal(port.kind, DOCTOR_INTERFACE);
	}
}

static void an_empty_machine_gets_lines_and_no_crash(void **state) {
	(void)state;
	take("/proc");
	take("/sys");
	take("/usr");
	examine_port("0000:03:00.0");
	expect_verdict(false);
	examine_port("eth1");
	expect_verdict(false);
}

static void a_start_that_failed_is_explained(void **state) {
	static const char *const ports[] = {"weir-no-such-0"};
	const struct doctor_wish wish = {.ports = ports, .n_ports = 1, .memory_bytes = MIB};
	char text[DOCTOR_LINE_BYTES];
	(void)state;

	// Of this machine, not a made-up one.
	assert_true(doctor_explain(&wish, text, sizeof(text)));
	assert_string_equal(
		text,
		"weir-no-such-0: interface: there is no interface 'weir-no-such-0' in this network "
		"namespace: ip -brief link   # shows those that there are"
	);
}

#define ON_MACHINE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		ON_MACHINE(a_healthy_machine_has_nothing_to_mend),
		ON_MACHINE(without_ports_it_lists_what_could_be_one),
		ON_MACHINE(capabilities_are_asked_for_by_the_kind_of_port),
		ON_MACHINE(hugepages_are_told_to_the_page),
		ON_MACHINE(hugepages_of_other_sizes_count),
		ON_MACHINE(locked_memory_matters_to_af_xdp_and_pci),
		ON_MACHINE(memory_for_the_cache_is_there_or_not),
		ON_MACHINE(cores_must_exist_and_be_given),
		ON_MACHINE(clocks_are_good_or_hinted_at),
		ON_MACHINE(drivers_are_found_or_named),
		ON_MACHINE(af_xdp_is_in_the_kernel_or_not),
		ON_MACHINE(vfio_is_loaded_and_has_an_iommu),
		ON_MACHINE(a_pci_port_is_a_network_device_that_vfio_holds),
		ON_MACHINE(an_interface_that_the_machine_uses_is_not_to_be_bound),
		ON_MACHINE(a_mellanox_port_stays_with_the_kernel),
		ON_MACHINE(an_iommu_group_is_free_and_its_own),
		ON_MACHINE(a_numa_node_without_hugepages_is_hinted_at),
		ON_MACHINE(an_interface_is_there_up_and_has_a_carrier),
		ON_MACHINE(jumbo_frames_are_not_for_af_xdp),
		ON_MACHINE(merged_segments_are_hinted_at),
		ON_MACHINE(rings_and_queues_are_told),
		ON_MACHINE(others_on_the_port_conflict_with_af_xdp_alone),
		ON_MACHINE(a_free_nic_is_offered_for_line_rate),
		ON_MACHINE(ports_are_read_as_people_write_them),
		ON_MACHINE(an_empty_machine_gets_lines_and_no_crash),
		ON_MACHINE(a_start_that_failed_is_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
