// For the tests beside it: the benchmark's document and questions, as they are asked.
//
//   needles_probe text TEXT FACTS FEW_SHOT TEXT_LENGTH   the prompt, then of each question its prompt, its
//   answer and its fact's number; each part ends with a zero byte
//   needles_probe ids SEED VOCAB LENGTH NEEDLES QUESTION_LENGTH   the document's ids in a line, then of each
//   question a line with its needle's number and its ids
#include <cstdint>
#include <iostream>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"
#include "needles/haystack.hpp"
#include "needles/token_needles.hpp"

namespace {

using namespace hydrajob;

std::int64_t number(const char* text) {
  return std::stoll(text);
}

void print_part(const std::string& text) {
  std::cout << text << '\0';
}

void print_text(char** arguments) {
  const auto facts = parse_facts(read_file(arguments[1]), arguments[1]);
  const Haystack haystack =
      make_haystack(facts, read_file(arguments[0]), number(arguments[2]), number(arguments[3]), arguments[0]);
  print_part(haystack.prompt);
  for (const HaystackQuestion& question : haystack.questions) {
    print_part(question.prompt);
    print_part(question.answer);
    print_part(std::to_string(question.fact));
  }
}

void print_ids(char** arguments) {
  const NeedleTask task =
      make_token_needles({static_cast<std::uint64_t>(number(arguments[0])), number(arguments[1]),
                          number(arguments[2]), number(arguments[3]), number(arguments[4])});
  for (const TokenId id : task.document) std::cout << id << ' ';
  for (const NeedleQuestion& question : task.questions) {
    std::cout << '\n' << question.needle;
    for (const TokenId id : question.tokens) std::cout << ' ' << id;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  try {
    if (what == "text" && argc == 6) {
      print_text(argv + 2);
    } else if (what == "ids" && argc == 7) {
      print_ids(argv + 2);
    } else {
      throw UsageError("needles_probe: see the top of its source");
    }
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return static_cast<int>(e.code());
  }
  return 0;
}
