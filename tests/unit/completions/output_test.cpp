// An output that cannot be published leaves nothing.
#include "completions/output.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/base/temporary_folder.hpp"

using namespace hydrajob;
namespace fs = std::filesystem;

TEST(Output, LeavesNothingWhereItFails) {
  const test::TemporaryFolder folder;
  std::vector<Request> prompts(1);
  prompts[0].tokens = {1};
  for (const auto& [name, format] :
       {std::pair{"out.jsonl", OutputFormat::jsonl}, std::pair{"out.h5", OutputFormat::hdf5}}) {
    const fs::path target = folder.path() / name;
    fs::create_directories(target / "in the way");
    const OutputRequest request{target, format, "0123", true, false};
    EXPECT_THROW(write_output(request, prompts, [](std::int64_t) { return Completion(); }), StoreError);
    EXPECT_FALSE(fs::exists(target.string() + ".writing"));
    EXPECT_TRUE(fs::is_directory(target));
  }
}
