// Which cells of the paper's tables 1 to 6 (hydragen_paper_tables.csv, found through HJ_SHARED or beside the
// repository) fit eight GPUs: X there is out of memory on 40 GB.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/scale/machines.hpp"

namespace hydrajob {
namespace {

struct Cell {
  std::string model, mode;
  long new_tokens = 0, batch = 0, prefix = 0;
  auto operator<=>(const Cell&) const = default;
};

std::string text(const Cell& cell) {
  return fmt::format("{} {} {} new tokens, batch {}, prefix {}", cell.model, cell.mode, cell.new_tokens,
                     cell.batch, cell.prefix);
}

// Whether each cell of the modes that this program has ran out of memory there; without attention no memory
// depends on the prefix, and the tables have none.
std::optional<std::map<Cell, bool>> paper_cells() {
  const char* shared = std::getenv("HJ_SHARED");
  const auto folder =
      shared != nullptr ? std::filesystem::path(shared) : source_path("../shared").lexically_normal();
  std::ifstream file(folder / "data/hydragen_paper_tables.csv");
  if (!file) return std::nullopt;
  std::map<Cell, bool> cells;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; std::getline(in, word, ',');) words.push_back(word);
    const bool noshared = words.at(3) == "flashattention";
    if (!noshared && words[3] != "hydragen") continue;
    cells[{words[0], noshared ? "noshared" : "hydragen", std::stol(words[1]), std::stol(words[2]),
           std::stol(words[4])}] = words.at(5) == "X";
  }
  return cells;
}

struct Fit {
  std::map<Cell, double> bytes;  // that each cell needs of a rank
  std::set<Cell> skipped;        // for memory
};

Fit fit(const std::string& machine) {
  Fit fit;
  const Experiment e = load_experiment(source_path("configs/paper-grid.yaml"), {});
  for (const PlannedRun& run : plan_on(machine, e, 8).runs) {
    const RunSpec& s = run.spec;
    const std::string& name = s.architecture.name;  // codellama-7b-instruct
    const std::size_t begin = name.find('-') + 1;
    const Cell cell{name.substr(begin, name.find('-', begin) - begin), to_string(s.mode), s.new_tokens,
                    s.batch, s.prefix};
    fit.bytes[cell] = run.cost.memory.total();
    if (run.skip_reason.starts_with("needs")) fit.skipped.insert(cell);
  }
  return fit;
}

// The original held its embedding and its head whole on every rank, and its caches in pieces of PyTorch's
// allocator: a few cells that it had no place for take nearly all of the memory here.
TEST(PaperMemory, CellsThatDidNotFit40GbAreThoseThatAreSkipped) {
  const auto cells = paper_cells();
  if (!cells) GTEST_SKIP() << "hydragen_paper_tables.csv is not there: set HJ_SHARED to the folder of data/";
  const Fit here = fit("a100-40gb");
  const double has = load_machine(source_path("configs/machines/a100-40gb.yaml")).memory_bytes;
  ASSERT_EQ(here.bytes.size(), cells->size());
  std::size_t same = 0, only_there = 0;
  for (const auto& [cell, out_of_memory] : *cells) {
    const bool skipped = here.skipped.contains(cell);
    EXPECT_TRUE(out_of_memory || !skipped) << text(cell) << " fitted there";
    if (out_of_memory == skipped) {
      ++same;
      continue;
    }
    ++only_there;
    const double part = here.bytes.at(cell) / has;
    std::cout << fmt::format("{}: X there, {:.1f} % of the memory here\n", text(cell), 100 * part);
    EXPECT_GT(part, 0.9) << text(cell);
  }
  EXPECT_EQ(same + only_there, 390u);
  EXPECT_LE(only_there, 4u);
}

TEST(PaperMemory, MoreOfThemFitMoreMemory) {
  std::set<Cell> before = fit("a100-40gb").skipped;
  for (const char* machine : {"h100-80gb", "h200"}) {
    const Fit here = fit(machine);
    EXPECT_EQ(here.bytes.size(), 390u);
    std::cout << fmt::format("{} of {} cells do not fit {}\n", here.skipped.size(), here.bytes.size(),
                             machine);
    EXPECT_TRUE(std::includes(before.begin(), before.end(), here.skipped.begin(), here.skipped.end()))
        << machine;
    EXPECT_LT(here.skipped.size(), before.size());
    EXPECT_FALSE(here.skipped.empty());
    for (const Cell& cell : here.skipped) EXPECT_EQ(cell.mode, "noshared") << text(cell);
    before = here.skipped;
  }
}

}  // namespace
}  // namespace hydrajob
