// Collectives by hand, and groups on nodes by laying each one out.
#include "grid/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

constexpr double us = 1e-6;

Links links() {
  Links l;
  l.node = {2 * us, 1e9};
  l.peer = {1 * us, 2e9};
  l.network = {10 * us, 1e8};
  return l;
}

TEST(AllReduce, OfLittleTakesTreesAndOfMuchARing) {
  const GroupSpan eight{8, 1};
  // Up and down three levels; a ring would take 14 messages.
  EXPECT_NEAR(all_reduce_s(links(), eight, 8), 6 * 2 * us + 2 * 8e-9, 1e-15);
  // 14 messages of an eighth.
  EXPECT_NEAR(all_reduce_s(links(), eight, 8e6), 14 * (2 * us + 1e6 / 1e9), 1e-12);
  EXPECT_NEAR(all_reduce_s(links(), {2, 1}, 8e6), 2 * (2 * us + 4e6 / 1e9), 1e-12);
  EXPECT_EQ(all_reduce_s(links(), {1, 1}, 8e6), 0);
}

TEST(AllReduce, BetweenNodesIsOfEachRanksShare) {
  // Four ranks on each of two nodes: 6 messages of a quarter within, 2 of an eighth between.
  const double within = 6 * (2 * us + 2e6 / 1e9), between = 2 * (10 * us + 1e6 / 1e8);
  EXPECT_NEAR(all_reduce_s(links(), {4, 2}, 8e6), within + between, 1e-12);
  Links unknown = links();
  unknown.network = {};
  EXPECT_NEAR(all_reduce_s(unknown, {4, 2}, 8e6), within, 1e-12);
}

TEST(AllGather, IsARing) {
  EXPECT_NEAR(all_gather_s(links(), {4, 1}, 1e6), 3 * (2 * us + 1e-3), 1e-12);
  // Between two nodes once what a rank has, then within each what two have.
  EXPECT_NEAR(all_gather_s(links(), {4, 2}, 1e6), (10 * us + 1e-2) + 3 * (2 * us + 2e-3), 1e-12);
  EXPECT_EQ(all_gather_s(links(), {1, 1}, 1e6), 0);
}

TEST(ReadPeers, MeetsOnceAndReadsAllOthers) {
  EXPECT_NEAR(read_peers_s(links().peer, {true, false, 3e6, 0, 2}), 1 * us + 3e6 / 2e9, 1e-15);
  EXPECT_NEAR(read_peers_s(links().peer, {true, true, 2e6, 0, 3}), 2 * us + 2e6 / 2e9, 1e-15);
  EXPECT_EQ(read_peers_s(links().peer, {}), 0);
}

TEST(Span, IsOfTheGroupOnTheMostNodes) {
  for (int per_node = 1; per_node <= 12; ++per_node) {
    for (int degree = 1; degree <= 30; ++degree) {
      std::size_t most = 0;
      for (int group = 0; group < per_node; ++group) {  // then the places in a node repeat
        std::set<int> nodes;
        for (int r = 0; r < degree; ++r) nodes.insert((group * degree + r) / per_node);
        most = std::max(most, nodes.size());
      }
      const GroupSpan span = span_of(degree, per_node);
      EXPECT_EQ(span.nodes, static_cast<double>(most)) << degree << " ranks, " << per_node << " a node";
      EXPECT_DOUBLE_EQ(span.ranks_of_node * span.nodes, degree);
    }
  }
  EXPECT_EQ(span_of(16, 0).nodes, 1);
  EXPECT_EQ(span_of(16, 0).ranks_of_node, 16);
}

}  // namespace
}  // namespace hydrajob
