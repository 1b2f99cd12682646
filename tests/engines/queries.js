// Questions that every engine must answer alike: whole numbers and text, each in one order.

export const QUERIES = [
	"SELECT count(*) AS n FROM flows",
	"SELECT sum(bytes) AS b, sum(packets) AS p, min(bytes) AS l, max(packets) AS m FROM flows",
	"SELECT proto, count(*) AS n, sum(bytes) AS b FROM flows GROUP BY proto ORDER BY proto",
	"SELECT src_addr, sum(bytes) AS b FROM flows GROUP BY src_addr ORDER BY b DESC, src_addr LIMIT 10",
	"SELECT dst_port, count(*) AS n FROM flows WHERE proto = 6 AND dst_port < 1024 "
		+ "GROUP BY dst_port ORDER BY n DESC, dst_port",
	"SELECT src_addr, dst_addr, sum(packets) AS p FROM flows GROUP BY src_addr, dst_addr "
		+ "HAVING sum(packets) > 10 ORDER BY p DESC, src_addr, dst_addr LIMIT 20",
	"SELECT icmp_type, icmp_code, count(*) AS n FROM flows WHERE icmp_type IS NOT NULL "
		+ "GROUP BY icmp_type, icmp_code ORDER BY icmp_type, icmp_code",
	"SELECT count(*) AS n FROM flows WHERE icmp_type IS NULL",
	"SELECT count(icmp_type) AS n, count(sampler_address) AS m FROM flows",
	"SELECT flow_end_reason, count(*) AS n FROM flows GROUP BY flow_end_reason ORDER BY flow_end_reason",
	"SELECT vlan_id, inner_vlan_id, count(*) AS n FROM flows WHERE vlan_id <> 0 "
		+ "GROUP BY vlan_id, inner_vlan_id ORDER BY vlan_id, inner_vlan_id",
	"SELECT count(DISTINCT src_addr) AS n FROM flows WHERE etype = 34525",
	"SELECT src_mac, min(ip_ttl) AS l, max(ip_ttl_max) AS m FROM flows GROUP BY src_mac ORDER BY src_mac",
	"SELECT src_addr, src_port, dst_addr, dst_port, bytes FROM flows WHERE proto = 17 AND bytes > 200 "
		+ "ORDER BY bytes DESC, src_addr, src_port, dst_addr, dst_port LIMIT 25",
	"SELECT dst_addr, count(*) AS n FROM flows WHERE dst_addr LIKE '192.0.2.%' "
		+ "GROUP BY dst_addr ORDER BY n DESC, dst_addr LIMIT 5",
	"SELECT count(*) AS n FROM flows WHERE src_addr IN ('192.0.2.1', '2001:db8::1') OR dst_port = 53",
	"SELECT tcp_flags, sum(packets) AS p FROM flows WHERE proto = 6 AND tcp_flags <> 0 "
		+ "GROUP BY tcp_flags ORDER BY p DESC, tcp_flags",
];
