// The main function of a GoogleTest program that runs under mpirun: MPI from start to finish, ranks other
// than 0 speak only when something fails, and every rank exits non-zero when any failed.
#pragma once

#include <exception>
#include <iostream>
#include <string>

#include <gtest/gtest.h>

#include "comm/mpi_session.hpp"

namespace hydrajob::test {

inline Communicator*& world_pointer() {
  static Communicator* world = nullptr;
  return world;
}
inline Communicator& world() {
  return *world_pointer();
}

// The failures of a rank whose usual output is off.
class FailuresOnly : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::cerr << "[rank " << world().rank() << "] " << (result.file_name() ? result.file_name() : "") << ":"
              << result.line_number() << ": " << result.message() << std::endl;
  }
};

inline int run_tests(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  MpiSession session;
  world_pointer() = &session.world();
  if (world().rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly);
  }
  const int mine = RUN_ALL_TESTS();
  return world().all_reduce_max(mine) > 0 ? 1 : 0;
}

}  // namespace hydrajob::test

#define HJ_MPI_TEST_MAIN()                        \
  int main(int argc, char** argv) {               \
    return hydrajob::test::run_tests(argc, argv); \
  }
