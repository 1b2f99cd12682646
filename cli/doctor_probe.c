// The facts that only the running kernel tells. Nothing here changes a thing: sockets are opened
// and closed again, and only questions are asked.

#include "doctor_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void doctor_machine_probe(struct doctor_machine *machine) {
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	machine->af_xdp_error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
}

static int ask(int fd, unsigned long request, const char *name, struct ifreq *question) {
	snprintf(question->ifr_name, sizeof(question->ifr_name), "%s", name);
	return ioctl(fd, request, question);
}

static int ethtool(int fd, const char *name, void *question) {
	struct ifreq request = {.ifr_data = question};
	return ask(fd, SIOCETHTOOL, name, &request);
}

// The features that are on have a bit, and the bit has a name that the kernel tells.
static void probe_features(int fd, struct doctor_interface *interface) {
	const struct {
		const char *name;
		enum doctor_switch *value;
	} wanted[] = {
		{"rx-gro", &interface->gro},
		{"rx-gro-hw", &interface->gro_hardware},
		{"rx-lro", &interface->lro},
		{"tx-tcp-segmentation", &interface->tso},
		{"tx-generic-segmentation", &interface->gso},
	};
	union {
		struct ethtool_sset_info info;
		uint8_t octets[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} count = {
		.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES},
	};
	uint32_t n;

	if (ethtool(fd, interface->name, &count) < 0 || count.info.sset_mask == 0)
		return;
	memcpy(&n, count.octets + sizeof(count.info), sizeof(n));
	uint32_t n_blocks = (n + 31) / 32;
	struct ethtool_gstrings *strings = calloc(1, sizeof(*strings) + n * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *features =
		calloc(1, sizeof(*features) + n_blocks * sizeof(features->features[0]));
	if (strings == NULL || features == NULL)
		goto out;
	*strings = (struct ethtool_gstrings
	){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = n};
	*features = (struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES, .size = n_blocks};
	if (ethtool(fd, interface->name, strings) < 0 || ethtool(fd, interface->name, features) < 0)
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		const char *name = (const char *)strings->data + (size_t)i * ETH_GSTRING_LEN;
		bool on = features->features[i / 32].active >> i % 32 & 1;
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			if (strncmp(name, wanted[k].name, ETH_GSTRING_LEN) == 0)
				*wanted[k].value = on ? SWITCH_ON : SWITCH_OFF;
	}
out:
	free(strings);
	free(features);
}

static void probe_ethtool(int fd, struct doctor_interface *interface) {
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_ringparam rings = {.cmd = ETHTOOL_GRINGPARAM};
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};

	if (ethtool(fd, interface->name, &channels) == 0) {
		unsigned n = channels.rx_count + channels.combined_count;
		unsigned max = channels.max_rx + channels.max_combined;
		if (n > 0)
			interface->n_queues = n;
		interface->max_queues = max;
	}
	if (ethtool(fd, interface->name, &rings) == 0) {
		interface->ring_slots = rings.rx_pending;
		interface->max_ring_slots = rings.rx_max_pending;
	}
	if (ethtool(fd, interface->name, &driver) == 0) {
		interface->is_veth = strcmp(driver.driver, "veth") == 0;
		if (interface->kernel_driver[0] == '\0')
			snprintf(
				interface->kernel_driver,
				sizeof(interface->kernel_driver),
				"%.31s",
				driver.driver
			);
	}
	probe_features(fd, interface);
}

// Link-local addresses come by themselves and bind nobody to an interface.
static bool has_addresses(const char *interface) {
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *item = all; item != NULL; item = item->ifa_next) {
		if (strcmp(item->ifa_name, interface) != 0 || item->ifa_addr == NULL)
			continue;
		if (item->ifa_addr->sa_family == AF_INET)
			found = true;
		if (item->ifa_addr->sa_family == AF_INET6) {
			const struct sockaddr_in6 *in6 = (const void *)item->ifa_addr;
			if (!IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
				found = true;
		}
	}
	freeifaddrs(all);
	return found;
}

// Whether a link's attributes tell of an XDP program.
static bool tells_of_xdp(const struct nlmsghdr *message) {
	const struct ifinfomsg *info = NLMSG_DATA(message);
	int left = (int)IFLA_PAYLOAD(message);

	for (const struct rtattr *item = IFLA_RTA(info); RTA_OK(item, left);
	     item = RTA_NEXT(item, left)) {
		if ((item->rta_type & NLA_TYPE_MASK) != IFLA_XDP)
			continue;
		int inner_left = (int)RTA_PAYLOAD(item);
		for (const struct rtattr *inner = RTA_DATA(item); RTA_OK(inner, inner_left);
		     inner = RTA_NEXT(inner, inner_left))
			if (inner->rta_type == IFLA_XDP_ATTACHED)
				return *(const uint8_t *)RTA_DATA(inner) != XDP_ATTACHED_NONE;
	}
	return false;
}

static void probe_xdp(struct doctor_interface *interface) {
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} question = {
		.header =
			{
				.nlmsg_len = sizeof(question),
				.nlmsg_type = RTM_GETLINK,
				.nlmsg_flags = NLM_F_REQUEST,
			},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)interface->index},
	};
	alignas(struct nlmsghdr) char answer[16384];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	if (send(fd, &question, sizeof(question), 0) == sizeof(question)) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *message = (const void *)answer;
		if (n > 0 && NLMSG_OK(message, (size_t)n) && message->nlmsg_type == RTM_NEWLINK)
			interface->has_xdp_program = tells_of_xdp(message);
	}
	close(fd);
}

// Sockets that were bound to the interface; those of all interfaces stand there as 0.
static void probe_packet_sockets(struct doctor_interface *interface) {
	char line[256];
	FILE *file = fopen("/proc/self/net/packet", "re");

	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *at = line;
		// sk RefCnt Type Proto Iface ...
		for (unsigned column = 0; column < 4; column++) {
			at += strspn(at, " ");
			at += strcspn(at, " ");
		}
		if (strtoul(at, NULL, 10) == interface->index)
			interface->n_packet_sockets++;
	}
	fclose(file);
}

void doctor_interface_probe(struct doctor_interface *interface) {
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	// sysfs may be that of another network namespace; the kernel's answer is not.
	interface->index = if_nametoindex(interface->name);
	interface->exists = interface->index != 0;
	if (fd < 0)
		return;
	if (interface->exists) {
		if (ask(fd, SIOCGIFFLAGS, interface->name, &request) == 0)
			interface->flags = (unsigned short)request.ifr_flags;
		if (ask(fd, SIOCGIFMTU, interface->name, &request) == 0)
			interface->mtu = (unsigned)request.ifr_mtu;
		probe_ethtool(fd, interface);
		interface->has_addresses = has_addresses(interface->name);
		probe_xdp(interface);
		probe_packet_sockets(interface);
	}
	close(fd);
}

// A group can be open once; opening it does nothing to its devices.
void doctor_pci_probe(struct doctor_pci *pci) {
	char path[64];

	pci->in_use = pci->interface[0] != '\0' && has_addresses(pci->interface);
	if (strcmp(pci->kernel_driver, "vfio-pci") != 0)
		return;
	if (pci->iommu_group < 0)
		return;
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci->iommu_group);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", pci->iommu_group);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	pci->vfio_error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
}
