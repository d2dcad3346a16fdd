// --set key=value: what the command line says wins over the file.
#pragma once

#include <string>
#include <utility>

#include "config/document.hpp"

namespace hydrajob {

// "key=value", and what messages call it: the option or the variable that gave it. A set of any key is called
// "--set batch"; an option that is of one key only, as it is: "--device".
struct Assignment {
  Assignment(const char* key_and_value) : text(key_and_value) {}
  Assignment(std::string key_and_value) : text(std::move(key_and_value)) {}
  Assignment(std::string key_and_value, std::string giver, bool names_key)
      : text(std::move(key_and_value)), given_by(std::move(giver)), names_the_key(names_key) {}

  std::string text;
  std::string given_by = "--set";
  bool names_the_key = false;
};

// Replaces the key in the file's defaults and in every block, and takes it out of every `zip` and every
// rule's `set`, so that the given value is the run's wherever the file said another. The value may be a list
// ("[1, 2]" or "1,2") or a range, and hold variables as in the file. Keys: every parameter, `name` (of the
// file) and `store`. Throws UsageError.
void apply_override(Node& file, const Assignment& assignment);

}  // namespace hydrajob
