#include "grid/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hydrajob {
namespace {

double all_reduce_s(const Link& link, double ranks, double bytes) {
  if (ranks <= 1 || link.bytes_per_s == 0) return 0;
  const double transfer_s = bytes / link.bytes_per_s;
  const double ring_s = 2 * (ranks - 1) * (link.latency_s + transfer_s / ranks);
  const double trees_s = 2 * std::ceil(std::log2(ranks)) * link.latency_s + 2 * transfer_s;
  return std::min(ring_s, trees_s);
}

double all_gather_s(const Link& link, double ranks, double bytes) {
  if (ranks <= 1 || link.bytes_per_s == 0) return 0;
  return (ranks - 1) * (link.latency_s + bytes / link.bytes_per_s);
}

}  // namespace

GroupSpan span_of(std::int64_t degree, std::int64_t ranks_per_node) {
  if (ranks_per_node == 0) return {static_cast<double>(degree), 1};
  // Groups begin at multiples of the degree: within a node, at multiples of this; the last is the worst.
  const std::int64_t last_begin = ranks_per_node - std::gcd(degree, ranks_per_node);
  const auto nodes = static_cast<double>((last_begin + degree + ranks_per_node - 1) / ranks_per_node);
  return {static_cast<double>(degree) / nodes, nodes};
}

double all_reduce_s(const Links& links, const GroupSpan& span, double bytes) {
  return all_reduce_s(links.node, span.ranks_of_node, bytes) +
         all_reduce_s(links.network, span.nodes, bytes / span.ranks_of_node);
}

double all_gather_s(const Links& links, const GroupSpan& span, double bytes) {
  return all_gather_s(links.network, span.nodes, bytes) +
         all_gather_s(links.node, span.ranks_of_node, bytes * span.nodes);
}

double read_peers_s(const Link& peer, const PeerReading& reading) {
  if (!reading.reads || peer.bytes_per_s == 0) return 0;
  return (reading.shares ? 2 : 1) * peer.latency_s + reading.read_bytes / peer.bytes_per_s;
}

}  // namespace hydrajob
