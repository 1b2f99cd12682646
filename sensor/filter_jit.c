// rte_bpf_convert() has been there since 22.03, and in every release after this one.
#define ALLOW_EXPERIMENTAL_API

#include "filter_jit.h"

#include <stdlib.h>

#include <rte_bpf.h>
#include <rte_branch_prediction.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "eal.h"

struct filter_jit {
	struct packet_filter *filter;
	struct rte_bpf *bpf;
	uint64_t (*match)(void *mbuf);
};

static bool matches(const void *arg, const struct frame *frame) {
	const struct filter_jit *jit = arg;
	// What the code reads of a packet buffer; the others stay 0.
	struct rte_mbuf mbuf = {
		.buf_addr = (void *)frame->data,
		.nb_segs = 1,
		.data_len = (uint16_t)frame->captured_bytes,
		.pkt_len = frame->captured_bytes,
	};

	// Of a longer packet rte_bpf would look for the rest in further buffers, which there are
	// not; `len` and its like are to be those of the wire.
	if (unlikely(
		    frame->captured_bytes != frame->wire_bytes || frame->captured_bytes > UINT16_MAX
	    ))
		return packet_filter_interpret(jit->filter, frame);
	return jit->match(&mbuf) != 0;
}

// Whether an instruction tests bits of a mask that fits into an octet.
static bool tests_small_mask(const struct ebpf_insn *instruction) {
	return instruction->code == (BPF_JMP | BPF_JSET | BPF_K) && instruction->imm >= INT8_MIN
	       && instruction->imm <= INT8_MAX;
}

// Mends what DPDK 22.11 gets wrong, `instructions` having room for one more.
//
// rte_bpf_convert() loads from A + k where the program says X + k (BPF_IND).
//
// The test of A against a mask that fits into an octet becomes wrong code: the instruction of x86
// wants four (emit_tst_imm() in bpf_jit_x86.c). So such a mask is put into a register at the
// beginning and tested from there. Of registers one is free, which is enough for what
// pcap_compile() makes of any sensible expression.
//
// Returns how many instructions there are, or 0 where it cannot be done.
static uint32_t mend(const struct ebpf_insn *original, uint32_t n, struct ebpf_insn *instructions) {
	const uint8_t spare = EBPF_REG_9;
	bool small = false;

	instructions[0] = (struct ebpf_insn){
		.code = EBPF_ALU64 | EBPF_MOV | BPF_K,
		.dst_reg = spare,
	};
	for (uint32_t i = 0; i < n; i++) {
		struct ebpf_insn *instruction = &instructions[i + 1];
		*instruction = original[i];
		if (instruction->dst_reg == spare || instruction->src_reg == spare)
			return 0;
		if ((instruction->code & ~BPF_SIZE(0xff)) == (BPF_LD | BPF_IND))
			instruction->src_reg =
				EBPF_REG_7; // X, as rte_bpf_convert() has it elsewhere
		if (!tests_small_mask(instruction))
			continue;
		if (small && instructions[0].imm != instruction->imm)
			return 0;
		small = true;
		instructions[0].imm = instruction->imm;
		instruction->code = BPF_JMP | BPF_JSET | BPF_X;
		instruction->src_reg = spare;
		instruction->imm = 0;
	}
	return n + 1;
}

// NULL where the program cannot be had.
static struct rte_bpf *load(const struct bpf_program *program) {
	struct rte_bpf_prm *converted = rte_bpf_convert(program);
	struct rte_bpf *bpf = NULL;

	if (converted == NULL)
		return NULL;
	struct ebpf_insn *mended = calloc(converted->nb_ins + 1, sizeof(*mended));
	if (mended != NULL) {
		struct rte_bpf_prm whole = *converted;
		whole.ins = mended;
		whole.nb_ins = mend(converted->ins, converted->nb_ins, mended);
		if (whole.nb_ins > 0)
			bpf = rte_bpf_load(&whole);
	}
	free(mended);
	rte_free(converted);
	return bpf;
}

struct filter_jit *filter_jit_new(struct packet_filter *filter) {
	struct rte_bpf_jit code;

	if (!eal_started())
		return NULL;
	struct filter_jit *jit = calloc(1, sizeof(*jit));
	if (jit == NULL)
		return NULL;
	jit->filter = filter;
	eal_mute();
	jit->bpf = load(packet_filter_program(filter));
	bool compiled =
		jit->bpf != NULL && rte_bpf_get_jit(jit->bpf, &code) == 0 && code.func != NULL;
	eal_unmute();
	if (!compiled) {
		rte_bpf_destroy(jit->bpf);
		free(jit);
		return NULL;
	}
	jit->match = code.func;
	packet_filter_run_by(filter, matches, jit);
	return jit;
}

void filter_jit_free(struct filter_jit *jit) {
	if (jit == NULL)
		return;
	packet_filter_run_by(jit->filter, NULL, NULL);
	rte_bpf_destroy(jit->bpf);
	free(jit);
}
