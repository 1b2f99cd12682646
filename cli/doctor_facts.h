// What a live run depends on, as the machine has it: facts, without a judgement.
//
// Two sources. *_read() reads sysfs, procfs and folders below `root`, which is "" for this
// machine and a made-up tree in tests. *_probe() asks the running kernel with system calls that
// change nothing. What could not be learnt keeps the value that says so.
//
// Threads: none is shared; any may call.

#pragma once

#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	DOCTOR_MAX_HUGEPAGES = 32,
	DOCTOR_MAX_GROUP = 16,
	DOCTOR_NAME_BYTES = 64,
};

// The hugepages of one size on one NUMA node.
struct doctor_hugepages {
	unsigned node;
	uint64_t page_bytes;
	uint64_t total;
	uint64_t free;
};

struct doctor_machine {
	bool root;             // effective user ID 0
	uint64_t capabilities; // effective, bit n is capability n
	char program[PATH_MAX];

	uint64_t memlock_bytes; // UINT64_MAX: no limit
	uint64_t available_bytes;
	uint64_t default_page_bytes; // of hugepages; 0: the kernel has none
	struct doctor_hugepages hugepages[DOCTOR_MAX_HUGEPAGES];
	unsigned n_hugepages;

	cpu_set_t online;
	cpu_set_t allowed; // to this process
	cpu_set_t isolated;
	unsigned n_nodes;

	char clock_source[DOCTOR_NAME_BYTES];
	bool invariant_tsc;

	bool iommu;         // groups exist
	bool vfio;          // the driver vfio-pci is there
	bool vfio_no_iommu; // and was told to do without an IOMMU

	int af_xdp_error; // of socket(AF_XDP); 0: works. Probed

	char drivers_path[PATH_MAX]; // "": not found
	unsigned drivers_abi;        // 23, of pmds-23.0
	unsigned n_drivers;          // of Ethernet ports
};

// On, off or not known.
enum doctor_switch {
	SWITCH_UNKNOWN,
	SWITCH_OFF,
	SWITCH_ON,
};

struct doctor_interface {
	char name[IFNAMSIZ];
	bool exists;
	unsigned index;
	unsigned flags; // IFF_UP, IFF_RUNNING, ...
	unsigned mtu;
	unsigned n_queues;   // for reception
	unsigned max_queues; // 0: not known, or fixed
	unsigned ring_slots; // for reception; 0: not known
	unsigned max_ring_slots;
	int numa_node; // -1: none, or not known
	char kernel_driver[DOCTOR_NAME_BYTES];
	char pci[DOCTOR_NAME_BYTES]; // address; "": no PCI device, or not one of Ethernet alone
	bool is_veth;
	bool has_addresses;
	bool has_xdp_program;
	unsigned n_packet_sockets; // of others that read here too
	enum doctor_switch gro;
	enum doctor_switch gro_hardware;
	enum doctor_switch lro;
	enum doctor_switch tso;
	enum doctor_switch gso;
};

struct doctor_pci {
	char address[DOCTOR_NAME_BYTES];
	bool exists;
	unsigned class; // 0x020000 is Ethernet
	unsigned vendor;
	unsigned device;
	char kernel_driver[DOCTOR_NAME_BYTES]; // "": none
	char interface[IFNAMSIZ];              // "": none
	bool in_use;                           // that interface has addresses. Probed
	int numa_node;
	int iommu_group; // -1: none
	// Others of its group that a kernel driver other than vfio-pci holds.
	char held[DOCTOR_MAX_GROUP][DOCTOR_NAME_BYTES];
	unsigned n_held;
	char dpdk_driver[DOCTOR_NAME_BYTES]; // that knows the device; "": none does
	bool bifurcated;                     // that driver works beside the kernel's
	int vfio_error;                      // of opening the group; 0: works. Probed
};

void doctor_machine_read(const char *root, struct doctor_machine *machine);
void doctor_machine_probe(struct doctor_machine *machine);

void doctor_interface_read(const char *root, const char *name, struct doctor_interface *interface);
void doctor_interface_probe(struct doctor_interface *interface);

// `machine` says where the drivers are.
void doctor_pci_read(
	const char *root,
	const struct doctor_machine *machine,
	const char *address,
	struct doctor_pci *pci
);
void doctor_pci_probe(struct doctor_pci *pci);

// Whether libdpdk has the driver of this virtual device, such as net_ring0; `file` gets the
// name of its file.
bool doctor_has_driver(
	const char *root,
	const struct doctor_machine *machine,
	const char *device,
	char file[DOCTOR_NAME_BYTES]
);

// Hands out the names of the network interfaces of the namespace, or of the PCI devices of
// Ethernet that vfio-pci holds.
typedef void (*doctor_name_fn)(const char *name, void *arg);
void doctor_interfaces(const char *root, doctor_name_fn on_name, void *arg);
void doctor_bound_devices(const char *root, doctor_name_fn on_name, void *arg);

// "0,2-5" as a set. -EINVAL where it is no such list, -ERANGE where a number is beyond
// CPU_SETSIZE.
int doctor_cpu_list(const char *text, cpu_set_t *set);
