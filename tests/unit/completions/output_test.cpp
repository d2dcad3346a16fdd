// An output that cannot be published leaves nothing.
#include "completions/output.hpp"

#include <filesystem>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

using namespace hydrajob;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("hj-output-{}", ::getpid())) {
    fs::create_directory(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

TEST(Output, LeavesNothingWhereItFails) {
  const Folder folder;
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
