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
#include <utility>
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

std::string join(const std::set<long>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

struct Fit {
  std::map<Cell, double> bytes;  // that each cell needs of a rank
  std::set<Cell> skipped;        // for memory
};

// On eight of them, of a whole table's product of batches and prefixes.
Fit fit(const std::string& machine, const std::map<Cell, bool>& cells) {
  std::map<std::pair<std::string, long>, std::pair<std::set<long>, std::set<long>>> tables;
  for (const auto& [cell, _] : cells) {
    auto& [batches, prefixes] = tables[{cell.model, cell.new_tokens}];
    batches.insert(cell.batch);
    prefixes.insert(cell.prefix);
  }
  Fit fit;
  for (const auto& [table, axes] : tables) {
    const std::string yaml = fmt::format(
        "model: codellama-{}-instruct\nmode: [noshared, hydragen]\nnew_tokens: {}\nbatch: {}\nprefix: {}\n"
        "tensor_parallel: 8\ntemperature: 100\n",
        table.first, table.second, join(axes.first), join(axes.second));
    const Experiment e = parse_experiment(yaml, source_path("configs/paper.yaml"), {});
    for (const PlannedRun& run : plan_on(machine, e, 8).runs) {
      const RunSpec& s = run.spec;
      const Cell cell{table.first, to_string(s.mode), s.new_tokens, s.batch, s.prefix};
      fit.bytes[cell] = run.cost.memory.total();
      if (run.skip_reason.starts_with("needs")) fit.skipped.insert(cell);
    }
  }
  return fit;
}

// The original held its embedding and its head whole on every rank, and its caches in pieces of PyTorch's
// allocator: a few cells that it had no place for take nearly all of the memory here.
TEST(PaperMemory, CellsThatDidNotFit40GbAreThoseThatAreSkipped) {
  const auto cells = paper_cells();
  if (!cells) GTEST_SKIP() << "hydragen_paper_tables.csv is not there: set HJ_SHARED to the folder of data/";
  const Fit here = fit("a100-40gb", *cells);
  const double has = load_machine(source_path("configs/machines/a100-40gb.yaml")).memory_bytes;
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
  const auto cells = paper_cells();
  if (!cells) GTEST_SKIP() << "hydragen_paper_tables.csv is not there: set HJ_SHARED to the folder of data/";
  std::set<Cell> before = fit("a100-40gb", *cells).skipped;
  for (const char* machine : {"h100-80gb", "h200"}) {
    const std::set<Cell> skipped = fit(machine, *cells).skipped;
    std::cout << fmt::format("{} of {} cells do not fit {}\n", skipped.size(), cells->size(), machine);
    EXPECT_TRUE(std::includes(before.begin(), before.end(), skipped.begin(), skipped.end())) << machine;
    EXPECT_LT(skipped.size(), before.size());
    for (const Cell& cell : skipped) EXPECT_EQ(cell.mode, "noshared") << text(cell);
    before = skipped;
  }
}

}  // namespace
}  // namespace hydrajob
