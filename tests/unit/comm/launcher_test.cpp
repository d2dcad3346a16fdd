// What the launchers' environments are taken to mean.
#include "comm/launcher.hpp"

#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/mpi_session.hpp"
#include "comm/threads.hpp"

namespace hydrajob {
namespace {

// Nothing of a launcher is set, but what the test sets.
class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
          "OMPI_MCA_orte_bound_at_launch", "OMPI_MCA_mpi_yield_when_idle", "PMIX_RANK", "PMI_RANK", "PMI_FD",
          "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NODEID",
          "SLURM_PROCID"}) {
      unsetenv(name);
    }
  }
  static void set(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  }
  static std::string yield() {
    const char* value = std::getenv("OMPI_MCA_mpi_yield_when_idle");
    return value ? value : "";
  }
};

TEST_F(LauncherTest, AloneThereIsNone) {
  EXPECT_FALSE(launched_by_mpi());
  EXPECT_EQ(launcher_rank(), 0);
  EXPECT_FALSE(launcher_local_size());
  EXPECT_FALSE(slurm_step_tasks());
}

TEST_F(LauncherTest, ReadsMpirun) {
  set({{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  EXPECT_TRUE(launched_by_mpi());
  EXPECT_EQ(launcher_rank(), 5);
  EXPECT_EQ(launcher_local_size(), 4);
}

TEST_F(LauncherTest, ReadsSrun) {
  set({{"SLURM_STEP_ID", "0"},
       {"SLURM_STEP_NUM_TASKS", "5"},
       {"SLURM_PROCID", "3"},
       {"SLURM_NODEID", "1"},
       {"SLURM_STEP_TASKS_PER_NODE", "3,2"}});
  EXPECT_EQ(slurm_step_tasks(), 5);
  EXPECT_EQ(launcher_rank(), 3);
  EXPECT_EQ(launcher_local_size(), 2);
}

// mpirun's daemons are a Slurm step of their own: one task a node, whatever the number of ranks.
TEST_F(LauncherTest, MpirunInsideSlurmIsMpirun) {
  set({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"OMPI_COMM_WORLD_SIZE", "1"}});
  EXPECT_FALSE(slurm_step_tasks());
}

TEST_F(LauncherTest, ReadsTasksPerNode) {
  EXPECT_EQ(tasks_on_node("2(x3),1", 0), 2);
  EXPECT_EQ(tasks_on_node("2(x3),1", 2), 2);
  EXPECT_EQ(tasks_on_node("2(x3),1", 3), 1);
  EXPECT_FALSE(tasks_on_node("2(x3),1", 4));
  EXPECT_FALSE(tasks_on_node("two", 0));
}

TEST_F(LauncherTest, YieldsWhenRanksOutnumberCores) {
  const int cores = cores_available();
  set({{"OMPI_COMM_WORLD_LOCAL_SIZE", std::to_string(cores)}});
  yield_when_oversubscribed();
  EXPECT_EQ(yield(), "");
  set({{"OMPI_COMM_WORLD_LOCAL_SIZE", std::to_string(cores + 1)}});
  yield_when_oversubscribed();
  EXPECT_EQ(yield(), "1");
}

TEST_F(LauncherTest, TheUsersYieldStays) {
  set({{"OMPI_COMM_WORLD_LOCAL_SIZE", "100000"}, {"OMPI_MCA_mpi_yield_when_idle", "0"}});
  yield_when_oversubscribed();
  EXPECT_EQ(yield(), "0");
}

TEST_F(LauncherTest, TasksThatDoNotFindEachOtherAreRefused) {
  set({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_TRUE(launched_by_mpi());
  try {
    MpiSession session;
    FAIL() << "started 4 lone tasks";
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("4 tasks"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("--mpi=pmix"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace hydrajob
