// One rank without MPI does what the definition says of one rank.
#include <thread>

#include <gtest/gtest.h>

#include "comm/communicator.hpp"
#include "comm/threads.hpp"

namespace hydrajob {
namespace {

TEST(SelfCommunicator, CollectivesAreTheIdentity) {
  const auto self = make_self_communicator();
  EXPECT_EQ(self->rank(), 0);
  EXPECT_EQ(self->size(), 1);
  EXPECT_EQ(self->all_reduce_sum(2.5), 2.5);
  EXPECT_EQ(self->all_gather("b"), std::vector<std::string>{"b"});
  EXPECT_EQ(agree_on_error(*self, "broken"), "broken");
  EXPECT_EQ(self->split(3)->size(), 1);
  Stream stream;
  const int in = 7;
  int out = 0;
  self->all_gather(&in, &out, sizeof in, stream);
  EXPECT_EQ(out, 7);
}

TEST(SelfCommunicator, TwoThreadsTalk) {
  const auto self = make_self_communicator();
  std::thread answers([&] {
    for (int i = 0; i < 1000; ++i) self->send(self->receive(0, 1) + "!", 0, 2);
  });
  for (int i = 0; i < 1000; ++i) {
    self->send(std::to_string(i), 0, 1);
    ASSERT_EQ(self->receive(0, 2), std::to_string(i) + "!");
  }
  answers.join();
  EXPECT_FALSE(self->try_receive(1));
  self->send("later", 0, 5);
  EXPECT_EQ(self->try_receive(5)->second, "later");
}

TEST(Affinity, ListsTheCores) {
  EXPECT_GE(cores_available(), 1);
  EXPECT_FALSE(affinity_list().empty());
  EXPECT_EQ(affinity_list().find_first_not_of("0123456789-,"), std::string::npos);
}

}  // namespace
}  // namespace hydrajob
