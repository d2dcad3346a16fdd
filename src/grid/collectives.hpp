// How long the ranks of a group take to add up or to gather, from what each has and the links between them.
#pragma once

#include <cstdint>

#include "config/machine_description.hpp"
#include "grid/peer_reading.hpp"

namespace hydrajob {

// A group's ranks, as they lie on nodes: so many on each of so many. Groups are of consecutive ranks
// (sched/group.cpp), so some lie across nodes where a node's ranks are no multiple of theirs, and have a part
// of their ranks on each, which may be no whole number here.
struct GroupSpan {
  double ranks_of_node = 1;
  double nodes = 1;
};

// Of the group that lies on the most nodes. `ranks_per_node` 0: all on one.
GroupSpan span_of(std::int64_t degree, std::int64_t ranks_per_node);

// Where a group lies on several nodes: first between the ranks of each, then between nodes, each rank with
// its share. Both are the shorter of a ring, 2 (n - 1) messages of bytes / n (Patarasuk and Yuan 2009), and
// of two trees up and down, each with half of the bytes, 2 log2 n messages one after another and 2 bytes
// through each rank (Sanders, Speck and Träff 2009). A link that is not known costs nothing.
double all_reduce_s(const Links& links, const GroupSpan& span, double bytes);

// A ring: n - 1 messages of what each rank has; between nodes first.
double all_gather_s(const Links& links, const GroupSpan& span, double bytes);

// Each rank has met the others, and reads what it needs of theirs; where they share the adding, they meet
// again. Of one node.
double read_peers_s(const Link& peer, const PeerReading& reading);

}  // namespace hydrajob
