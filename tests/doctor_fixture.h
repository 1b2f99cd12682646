// A made-up machine in a folder: a healthy one, of which each test spoils something.

#pragma once

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char fixture_root[64];

static inline void fixture_folders(char *path) {
	for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		if (mkdir(path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*at = '/';
	}
}

static inline void fixture_path(char path[PATH_MAX], const char *name) {
	snprintf(path, PATH_MAX, "%s%s", fixture_root, name);
	fixture_folders(path);
}

static inline void put(const char *name, const char *text) {
	char path[PATH_MAX];

	fixture_path(path, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

// Octets with a zero among them, as in a library.
static inline void put_driver(const char *name, const char *info) {
	char path[PATH_MAX];

	fixture_path(path, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fwrite("\177ELF\0\0\0", 1, 7, file);
	if (info != NULL)
		fprintf(file, "PMD_INFO_STRING= %s%c", info, 0);
	assert_int_equal(fclose(file), 0);
}

static inline void put_link(const char *name, const char *target) {
	char path[PATH_MAX];

	fixture_path(path, name);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static inline void put_folder(const char *name) {
	char path[PATH_MAX];

	fixture_path(path, name);
	if (mkdir(path, 0755) < 0)
		assert_int_equal(errno, EEXIST);
}

static inline int
fixture_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
	(void)status, (void)type, (void)walk;
	return remove(path);
}

static inline void take(const char *name) {
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", fixture_root, name);
	assert_int_equal(nftw(path, fixture_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#define FIXTURE_NODE "/sys/devices/system/node/node0/hugepages/hugepages-2048kB"
#define FIXTURE_PCI "/sys/bus/pci/devices/0000:03:00.0"
#define FIXTURE_DRIVERS "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0"

static inline void fixture_status(const char *uid, const char *capabilities, const char *cpus) {
	char text[512];

	snprintf(
		text,
		sizeof(text),
		"Name:\tweir\nUid:\t%s\t%s\t%s\t%s\nCapPrm:\t0\nCapEff:\t%s\n"
		"Cpus_allowed:\tf\nCpus_allowed_list:\t%s\n",
		uid,
		uid,
		uid,
		uid,
		capabilities,
		cpus
	);
	put("/proc/self/status", text);
}

static inline void fixture_memlock(const char *soft) {
	char text[512];

	snprintf(
		text,
		sizeof(text),
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max locked memory         %-20s %-20s bytes     \n",
		soft,
		soft
	);
	put("/proc/self/limits", text);
}

static inline int fixture_setup(void **state) {
	(void)state;
	snprintf(fixture_root, sizeof(fixture_root), "/tmp/weir-doctor-XXXXXX");
	if (mkdtemp(fixture_root) == NULL)
		return -1;
	fixture_status("0", "000001ffffffffff", "0-3");
	fixture_memlock("unlimited");
	put_link("/proc/self/exe", "/usr/bin/weir");
	put("/proc/meminfo",
	    "MemTotal: 16000000 kB\nMemAvailable:   8388608 kB\n"
	    "Hugepagesize:       2048 kB\n");
	put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc\n");
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/cpu/isolated", "2-3\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put(FIXTURE_NODE "/nr_hugepages", "512\n");
	put(FIXTURE_NODE "/free_hugepages", "500\n");

	put(FIXTURE_PCI "/class", "0x020000\n");
	put(FIXTURE_PCI "/vendor", "0x8086\n");
	put(FIXTURE_PCI "/device", "0x1572\n");
	put(FIXTURE_PCI "/numa_node", "0\n");
	put_link(FIXTURE_PCI "/driver", "../../drivers/vfio-pci");
	put_link(FIXTURE_PCI "/iommu_group", "../../../../kernel/iommu_groups/7");
	put_folder("/sys/kernel/iommu_groups/7/devices/0000:03:00.0");
	put_folder("/sys/bus/pci/drivers/vfio-pci/0000:03:00.0");
	put(FIXTURE_PCI "/../0000:04:00.0/class", "0x010802\n");

	put_driver(FIXTURE_DRIVERS "/librte_net_af_packet.so", NULL);
	put_driver(FIXTURE_DRIVERS "/librte_net_af_xdp.so", NULL);
	put_driver(FIXTURE_DRIVERS "/librte_net_ring.so", NULL);
	put_driver(
		FIXTURE_DRIVERS "/librte_net_i40e.so",
		"{\"name\": \"net_i40e\", \"kmod\": \"* igb_uio | vfio-pci\", "
		"\"pci_ids\": [[32902, 5489, 65535, 65535], [32902, 5490, 65535, 65535]]}"
	);
	put_driver(
		FIXTURE_DRIVERS "/librte_net_mlx5.so",
		"{\"name\": \"mlx5_eth\", \"kmod\": \"* ib_uverbs & mlx5_core & mlx5_ib\", "
		"\"pci_ids\": [[5555, 4119, 65535, 65535]]}"
	);

	put("/sys/class/net/eth1/ifindex", "3\n");
	put("/sys/class/net/eth1/flags", "0x1003\n");
	put("/sys/class/net/eth1/carrier", "1\n");
	put("/sys/class/net/eth1/mtu", "1500\n");
	put_folder("/sys/class/net/eth1/queues/rx-0");
	put_folder("/sys/class/net/eth1/queues/rx-1");
	put_folder("/sys/class/net/eth1/queues/tx-0");
	return 0;
}

static inline int fixture_teardown(void **state) {
	(void)state;
	take("");
	return 0;
}
