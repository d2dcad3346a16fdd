// How fast a tokenizer makes ids of a text and text of its ids, on one core: a text is encoded line by line,
// as a file of prompts is. Medians; every repetition begins with a new tokenizer, whose words are not known
// yet.
//
//   tokenize TOKENIZER TEXT [repetitions = 7]
//
// The bar: at least 5 MB/s of text.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "timing/statistics.hpp"
#include "tokenizer/tokenizer.hpp"

namespace {

using namespace hydrajob;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

struct Times {
  std::vector<double> load, encode, decode;  // s
};

std::size_t measure(const std::string& file, const std::string& origin,
                    const std::vector<std::string_view>& lines, Times& times) {
  auto begin = Clock::now();
  const auto tokenizer = make_tokenizer(kind_of_tokenizer(file, origin), file, origin);
  times.load.push_back(seconds_since(begin));

  std::vector<std::vector<TokenId>> ids;
  begin = Clock::now();
  for (const std::string_view line : lines) ids.push_back(tokenizer->encode(line));
  times.encode.push_back(seconds_since(begin));

  std::size_t tokens = 0, decoded = 0;
  begin = Clock::now();
  for (const std::vector<TokenId>& line : ids) {
    tokens += line.size();
    decoded += tokenizer->decode(line).size();
  }
  times.decode.push_back(seconds_since(begin));
  if (decoded == 0) throw UsageError("nothing was decoded: expected a TEXT of at least a character");
  return tokens;
}

void report(const Times& times, std::size_t bytes, std::size_t tokens) {
  const double mb = static_cast<double>(bytes) / 1e6;
  std::printf("%.2f MB, %zu tokens; load %.3f s\n", mb, tokens, median(times.load));
  std::printf("encode %.1f MB/s, %.2f million tokens/s\n", mb / median(times.encode),
              static_cast<double>(tokens) / 1e6 / median(times.encode));
  std::printf("decode %.1f MB/s\n", mb / median(times.decode));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenize TOKENIZER TEXT [repetitions = 7]\n");
    return 2;
  }
  try {
    const int repetitions = argc > 3 ? std::max(1, std::atoi(argv[3])) : 7;
    const std::string file = read_file(argv[1]);
    const std::string text = read_file(argv[2]);
    const std::vector<std::string_view> lines = lines_of(text);
    Times times;
    std::size_t tokens = 0;
    for (int i = 0; i < repetitions; ++i) tokens = measure(file, argv[1], lines, times);
    report(times, text.size(), tokens);
  } catch (const Error& e) {
    std::fprintf(stderr, "tokenize: %s\n", e.what());
    return 2;
  }
  return 0;
}
