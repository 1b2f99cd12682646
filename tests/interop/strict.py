"""A strict reader of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): what is not as the RFC has it,
or refers to what was not said before, is an error here. Shares no code with weir."""

import collections
import struct

Template = collections.namedtuple("Template", "id fields scope")  # fields: (element, octets)
FlowSet = collections.namedtuple("FlowSet", "id body")
Options = collections.namedtuple("Options", "template_id values")


def read(code, octets, at):
    if at + struct.calcsize(code) > len(octets):
        raise AssertionError(f"{code} at {at} lies beyond the {len(octets)} octets")
    return struct.unpack_from(code, octets, at)


class Message:
    """One datagram. Templates are those of earlier ones, by source id, as a collector keeps them;
    without, those of this datagram and of a collector that saw every one before."""

    known = {}

    def __init__(self, octets, templates=None):
        self.octets = octets
        self.templates_known = Message.known if templates is None else templates
        self.version = read("!H", octets, 0)[0]
        if self.version == 9:
            _, self.count, uptime_ms, self.seconds, self.sequence, self.source_id = read(
                "!HHIIII", octets, 0)
            self.uptime_ms = uptime_ms
            self.boot_ms = self.seconds * 1000 - uptime_ms
            at = 20
        else:
            assert self.version == 10, f"version {self.version}"
            _, length, self.seconds, self.sequence, self.source_id = read("!HHIII", octets, 0)
            assert length == len(octets), f"{length} octets are announced of {len(octets)}"
            at = 16
        self.flowsets, self.templates, self.records, self.options = [], [], [], []
        while at < len(octets):
            set_id, length = read("!HH", octets, at)
            assert length > 4, f"FlowSet {set_id} is empty"
            assert at + length <= len(octets), f"FlowSet {set_id} goes beyond the datagram"
            if self.version == 9:
                assert length % 4 == 0, f"FlowSet {set_id} of {length} octets is not padded"
            self.flowsets.append(FlowSet(set_id, octets[at + 4:at + length]))
            self.read_set(self.flowsets[-1])
            at += length

    def read_set(self, flowset):
        if flowset.id in (0, 2):
            self.read_templates(flowset.body, self.read_template)
        elif flowset.id == 1:
            self.read_templates(flowset.body, self.read_v9_options_template)
        elif flowset.id == 3:
            self.read_templates(flowset.body, self.read_ipfix_options_template)
        else:
            assert flowset.id >= 256, f"FlowSet {flowset.id}"
            self.read_records(flowset)

    def read_templates(self, body, read_one):
        at = 0
        while len(body) - at >= 4:
            template, at = read_one(body, at)
            assert 256 <= template.id <= 65535, template
            self.templates.append(template)
            self.templates_known[self.source_id, template.id] = template
        assert not any(body[at:]), "padding that is not 0"

    @staticmethod
    def read_fields(body, at, n):
        return [read("!HH", body, at + 4 * i) for i in range(n)], at + 4 * n

    def read_template(self, body, at):
        template_id, n = read("!HH", body, at)
        fields, at = self.read_fields(body, at + 4, n)
        return Template(template_id, fields, 0), at

    def read_v9_options_template(self, body, at):
        template_id, scope_octets, option_octets = read("!HHH", body, at)
        assert scope_octets % 4 == 0 and option_octets % 4 == 0, (scope_octets, option_octets)
        n = (scope_octets + option_octets) // 4
        fields, at = self.read_fields(body, at + 6, n)
        return Template(template_id, fields, scope_octets // 4), at

    def read_ipfix_options_template(self, body, at):
        template_id, n, scope = read("!HHH", body, at)
        fields, at = self.read_fields(body, at + 6, n)
        assert scope > 0
        return Template(template_id, fields, scope), at

    def read_records(self, flowset):
        key = (self.source_id, flowset.id)
        assert key in self.templates_known, f"no template {flowset.id} of source {self.source_id}"
        template = self.templates_known[key]
        size = sum(octets for _, octets in template.fields)
        at = 0
        while len(flowset.body) - at >= size:
            values = []
            for element, octets in template.fields:
                values.append((element, octets, flowset.body[at:at + octets]))
                at += octets
            if template.scope:
                self.options.append(Options(template.id, values))
            else:
                self.records.append(Record(template, values))
        assert len(flowset.body) - at < 4 and not any(flowset.body[at:]), "padding"

    @property
    def n_records(self):
        """As the header of v9 counts them."""
        return len(self.templates) + len(self.options) + len(self.records)


class Record:
    """A data record: its octets by element, and its numbers."""

    def __init__(self, template, values):
        self.template = template
        self.octets = {element: octets for element, _, octets in values}

    def __getitem__(self, element):
        return int.from_bytes(self.octets[element], "big")

    def __contains__(self, element):
        return element in self.octets


def of_options(option, element):
    """The number of an element of an options record, past its scope."""
    return next(int.from_bytes(v, "big") for e, _, v in option.values[1:] if e == element)


def messages_of(datagrams):
    """The messages of one exporter to one collector."""
    templates = {}
    return [Message(octets, templates) for octets in datagrams]
