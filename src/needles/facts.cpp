// The facts file, and the draws of the reference's module `haystack` at its import.
#include <algorithm>
#include <array>
#include <cstddef>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "needles/haystack.hpp"
#include "needles/python_random.hpp"

namespace hydrajob {
namespace {

// In the reference's order: a colour is drawn by its index.
constexpr std::array<const char*, 8> colors{"black",  "white", "brown", "yellow",
                                            "orange", "red",   "green", "blue"};

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> fields;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    fields.emplace_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return fields;
}

class FactsFile {
 public:
  FactsFile(std::string_view csv, const std::string& origin) : rest_(csv), origin_(origin) {}

  std::vector<Fact> read() {
    read_header();
    std::vector<Fact> facts;
    while (const auto line = next_line()) {
      if (!line->empty()) facts.push_back(fact_of(split(*line)));
    }
    if (!color_) draw_colors(facts);
    return facts;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw UsageError(fmt::format("{}:{}: {}", origin_, number_, why));
  }

  std::optional<std::string_view> next_line() {
    if (rest_.empty()) return std::nullopt;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    if (line.find('"') != std::string_view::npos) refuse("quotes: expected plain fields between commas");
    return line;
  }

  void read_header() {
    const auto line = next_line();
    const std::vector<std::string> columns = split(line.value_or(""));
    const auto index_of = [&](const char* column) -> std::optional<std::size_t> {
      const auto at = std::find(columns.begin(), columns.end(), column);
      if (at == columns.end()) return std::nullopt;
      return static_cast<std::size_t>(at - columns.begin());
    };
    const auto name = index_of("name");
    if (!name) refuse("expected a header with a column 'name', and maybe 'color'");
    name_ = *name;
    color_ = index_of("color");
    n_columns_ = columns.size();
  }

  Fact fact_of(const std::vector<std::string>& fields) {
    if (fields.size() != n_columns_)
      refuse(fmt::format("{} fields, the header has {}", fields.size(), n_columns_));
    Fact fact{fields[name_], color_ ? fields[*color_] : ""};
    if (fact.name.empty()) refuse("no name");
    if (color_ && fact.color.empty()) refuse("no color");
    if (!names_.insert(fact.name).second)
      refuse(fmt::format("'{}' stands in a line before, too: a question would have two answers",
                         printable(fact.name)));
    return fact;
  }

  static void draw_colors(std::vector<Fact>& facts) {
    PythonRandom random(reference_seed);
    for (Fact& fact : facts) fact.color = colors[random.below(colors.size())];
    random.shuffle(facts);
  }

  std::string_view rest_;
  const std::string& origin_;
  int number_ = 0;  // of the line that is being read
  std::size_t name_ = 0;
  std::optional<std::size_t> color_;
  std::size_t n_columns_ = 0;
  std::set<std::string> names_;
};

}  // namespace

std::vector<Fact> parse_facts(std::string_view csv, const std::string& origin) {
  return FactsFile(csv, origin).read();
}

}  // namespace hydrajob
